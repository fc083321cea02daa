"""What inference is told: `LABELSTREAM_INFERENCE__…`, beside the settings that every service shares."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints

from inference.engine.backends import RuntimeName
from inference.engine.tiling import LEAST_SIDE, MOST_OVERLAP
from labelstream.service.settings import ServiceSettings, Settings

Origin = Annotated[str, StringConstraints(pattern=r"^(\*|https?://[^/\s*]+)$")]  # such as https://app.example.org


class InferenceGroup(Settings):
    """Settings of inference alone."""

    device_identity: SecretStr = Field(description="this device's age private key; best by …__DEVICE_IDENTITY_FILE")
    device_token: SecretStr = Field(description="what the exporter's API knows this device by; best by …_FILE")
    exporter_url: str = Field(description="the exporter's API, such as http://127.0.0.1:8085")
    exporter_ca: Path | None = Field(
        None, description="CA file of an https exporter; else the CAs that this machine knows"
    )
    trusted_keys: tuple[Path, ...] = Field(min_length=1, description="public keys (PEM) whose signatures are believed")
    replica: str = Field(
        default_factory=socket.gethostname, description="this replica's name in events; keep it stable"
    )
    threads: int | None = Field(None, ge=1, description="images in work at once; left out: what suits this machine")
    queue_size: int = Field(64, ge=0, description="requests that may wait; one more is answered with 503")
    max_image_bytes: int = Field(20 << 20, ge=1, description="a larger image is refused before it is read whole")
    max_pixels: int = Field(40_000_000, ge=1, description="an image with more is refused before it is decoded")
    tile: int | None = Field(None, ge=LEAST_SIDE, description="look at larger images in tiles of so many pixels, too")
    tile_overlap: float = Field(
        0.2, ge=0, le=MOST_OVERLAP, description="what neighbouring tiles share, of a tile's side"
    )
    grant_patience_s: float = Field(60, ge=0, description="a grant that is missing for longer is reported as a failure")
    retry_first_s: float = Field(0.5, gt=0, description="wait after the first failed attempt to fetch a model")
    retry_most_s: float = Field(30, gt=0, description="longest wait between attempts")

    # what is taken in
    longest_wait_ms: int = Field(10_000, ge=1, description="a request that says no deadline waits for so long")
    max_uploads_bytes: int = Field(256 << 20, ge=1, description="bodies of requests in memory, all together")
    upload_timeout_s: float = Field(30, gt=0, description="time for a request's body, and 1 s more for each 64 KiB")
    max_connections: int = Field(500, ge=1, description="more are answered with 503")
    cors_origins: tuple[Origin, ...] = Field(
        (), description="JSON list: pages of these may ask from a browser; * for all"
    )

    # what runs the networks
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="auto: a GPU where there is one that a runtime uses, and the cores"
    )
    artifacts: tuple[str, ...] = Field((), description="JSON list: use only these of a bundle, such as onnx-fp32")
    runtimes: tuple[RuntimeName, ...] = Field((), description="JSON list: use only these, such as onnxruntime")
    max_batch: int = Field(16, ge=1, le=256, description="images that a GPU takes at once, at most")
    spread: bool = Field(True, description="an image alone in work gets every core; the network is opened twice for it")

    # a new model's first minutes
    probation_s: float = Field(180, ge=0, description="so long the model before stands behind a new one; 0: not at all")
    worst_slowdown: float = Field(
        2.0, gt=1, description="on probation, a model whose runs take more times what those of the one before took goes"
    )
    worst_failures: float = Field(
        0.01, ge=0, lt=1, description="on probation, a model that fails over a larger share of its images goes"
    )

    # what answers are compared with
    drift_window: int = Field(
        1000, ge=10, le=10_000, description="newest answers of a model that are compared with its test images"
    )
    drift_least: int = Field(
        100, ge=1, description="answers, and detections in them and in the test images, from which on drift is told"
    )

    # who is let in
    access: Literal["keys", "open"] = Field(
        "keys", description="keys: who shows an API key; open: everybody, for a machine of one's own"
    )
    keys_poll_s: float = Field(10, gt=0, description="how often the exporter is asked which API keys count")

    # batches and videos
    max_streams: int = Field(4, ge=1, description="batches and videos answered at once; one more gets 503")
    max_files: int = Field(1000, ge=1, description="files of a batch")
    max_batch_bytes: int = Field(512 << 20, ge=1, description="bytes of a batch, as it is sent and unpacked")
    max_zip_ratio: float = Field(100, ge=1, description="how many times its length an entry of a zip may unpack to")
    max_video_bytes: int = Field(1 << 30, ge=1, description="a larger video is refused before it is read whole")
    max_video_s: float = Field(3600, gt=0, description="seconds of a video that are gone through")
    max_video_frames: int = Field(216_000, ge=1, description="frames of a video")
    max_video_pixels: int = Field(4096 * 2304, ge=1, description="pixels of a frame")
    stream_stall_s: float = Field(30, gt=0, description="who reads or decodes nothing for so long is cut")


class InferenceSettings(ServiceSettings):
    """All settings of inference."""

    inference: InferenceGroup
