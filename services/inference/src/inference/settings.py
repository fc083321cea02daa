"""What inference is told: `LABELSTREAM_INFERENCE__…`, beside the settings that every service shares."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from pydantic import Field, SecretStr

from inference.engine.tiling import LEAST_SIDE, MOST_OVERLAP
from labelstream.service.settings import ServiceSettings, Settings


class InferenceGroup(Settings):
    """Settings of inference alone."""

    device_identity: SecretStr = Field(description="this device's age private key; best by …__DEVICE_IDENTITY_FILE")
    device_token: SecretStr = Field(description="what the exporter's API knows this device by; best by …_FILE")
    exporter_url: str = Field(description="the exporter's API, such as http://127.0.0.1:8085")
    trusted_keys: tuple[Path, ...] = Field(min_length=1, description="public keys (PEM) whose signatures are believed")
    replica: str = Field(
        default_factory=socket.gethostname, description="this replica's name in events; keep it stable"
    )
    threads: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, description="images in work at once")
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


class InferenceSettings(ServiceSettings):
    """All settings of inference."""

    inference: InferenceGroup
