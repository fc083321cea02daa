"""What the augmenter is told: `LABELSTREAM_AUGMENTER__…`, beside the settings that every service shares."""

from __future__ import annotations

import os
import socket

from pydantic import Field

from labelstream.service.settings import ServiceSettings, Settings

AHEAD, AHEAD_SHARED = 2, 8


class AugmenterGroup(Settings):
    """Settings of the augmenter alone."""

    recipe: str = Field("default", description="a shipped recipe's name, or the path of a YAML file")
    batch_count: int = Field(64, ge=1, description="a batch closes with so many annotations")
    batch_bytes: int = Field(32 << 20, ge=1, description="or with so many bytes of original images")
    batch_age_s: float = Field(5.0, gt=0, description="or so long after its first event was read")
    batches_ahead: int | None = Field(
        None, ge=1, description="batches under way at a time; default 2, and 8 with share"
    )
    memory_bytes: int = Field(1 << 30, ge=1, description="what archives in the making may take in memory")
    workers: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, description="processes that render")
    render_timeout_s: float = Field(120, gt=0, description="an image that takes longer is left out")
    share: bool = Field(False, description="offer archives to every `augmenter work`")
    work: bool = Field(True, description="with share: also make archives in this service")
    worker: str = Field(default_factory=socket.gethostname, description="the worker's name in leases")
    lease_s: float = Field(20, gt=0, description="a worker that is silent for so long has lost its archive")
    poll_s: float = Field(0.5, gt=0, description="how often the decider looks at what workers left")

    @property
    def ahead(self) -> int:
        """How many batches are under way at a time."""
        return self.batches_ahead or (AHEAD_SHARED if self.share else AHEAD)


class AugmenterSettings(ServiceSettings):
    """All settings of the augmenter."""

    augmenter: AugmenterGroup = Field(default_factory=AugmenterGroup)
