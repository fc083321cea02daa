"""What the exporter is told: `LABELSTREAM_EXPORTER__…`, beside the settings that every service shares.

The three processes of this package need different secrets, so each has settings of its own.
"""

from __future__ import annotations

import socket
from pathlib import Path

from pydantic import Field, SecretStr

from labelstream.service.settings import ServiceSettings, Settings


class DeciderGroup(Settings):
    """Settings of `exporter`: the decider, which seals and signs."""

    signing_key: Path = Field(description="PEM file of the ECDSA P-256 key that signs bundles and promotions")
    vault_identity: SecretStr = Field(description="age private key that opens the models' keys; best by …_FILE")
    devices: Path | None = Field(None, description="JSON list of devices to enrol: name, recipient, token_sha256")
    poll_s: float = Field(1.0, gt=0, description="how often the decider looks at what workers left")
    lease_s: float = Field(20, gt=0, description="a worker that is silent for so long has lost its job")
    confidence: float = Field(0.25, gt=0, lt=1, description="what counts as a detection")
    iou: float = Field(0.45, gt=0, lt=1, description="of two boxes that overlap more, the more confident stays")
    golden_images: int = Field(4, ge=1, description="test images that travel with their answers")
    proof_images: int = Field(300, ge=1, description="at most so many test images are compared")
    max_box_px: float = Field(1.0, gt=0, description="a corner may differ by this much from the trained weights")
    max_score: float = Field(0.01, gt=0, description="a score may differ by this much from the trained weights")
    min_gain: float = Field(0.0, description="mAP50-95 that a model must gain on the champion to be promoted")


class DeciderSettings(ServiceSettings):
    """All settings of `exporter`."""

    exporter: DeciderGroup


class WorkerGroup(Settings):
    """Settings of `exporter work`: it loads and converts, and holds no keys."""

    worker: str = Field(default_factory=socket.gethostname, description="the worker's name in events")
    lease_s: float = Field(20, gt=0, description="as the decider's")


class WorkerSettings(ServiceSettings):
    """All settings of `exporter work`."""

    exporter: WorkerGroup = WorkerGroup()


class ApiSettings(ServiceSettings):
    """All settings of `exporter serve`: it hands out what was made elsewhere, and holds no keys."""
