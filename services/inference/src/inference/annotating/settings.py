"""What the annotating worker is told: `LABELSTREAM_ANNOTATE__…`, beside the settings that every service shares."""

from __future__ import annotations

import socket
from pathlib import Path

from pydantic import Field, SecretStr

from labelstream.service.settings import ServiceSettings, Settings


class AnnotateGroup(Settings):
    """Settings of `inference annotate` alone."""

    inference_url: str = Field(
        pattern=r"^https?://[^/\s]+", description="the inference service that is asked, such as http://127.0.0.1:8080"
    )
    inference_ca: Path | None = Field(
        None, description="CA file of an https service; else the CAs that this machine knows"
    )
    api_key: SecretStr | None = Field(None, description="what that service knows us by; best by …__API_KEY_FILE")
    worker: str = Field(
        default_factory=socket.gethostname,
        pattern=r"^[A-Za-z0-9_.-]{1,60}$",
        description="the worker's name, unique and stable: it is also the name of its publisher",
    )
    at_once: int = Field(4, ge=1, description="images asked about at once")
    portion: int = Field(50, ge=1, description="images between two checkpoints")
    timeout_s: float = Field(60, gt=0, description="an inference service that keeps still for longer is asked again")
    max_image_bytes: int = Field(32 << 20, ge=1, description="a larger image comes to nothing")
    lease_s: float = Field(20, gt=0, description="a job whose worker is silent for so long is given to another")
    look_s: float = Field(10, gt=0, description="how often open jobs are looked at that may have lost their worker")


class AnnotateSettings(ServiceSettings):
    """All settings of `inference annotate`."""

    annotate: AnnotateGroup
