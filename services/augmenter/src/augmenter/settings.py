"""What the augmenter is told: `LABELSTREAM_AUGMENTER__…`, beside the settings that every service shares."""

from __future__ import annotations

import os

from pydantic import Field

from labelstream.service.settings import ServiceSettings, Settings


class AugmenterGroup(Settings):
    """Settings of the augmenter alone."""

    recipe: str = Field("default", description="a shipped recipe's name, or the path of a YAML file")
    batch_count: int = Field(64, ge=1, description="a batch closes with so many annotations")
    batch_bytes: int = Field(32 << 20, ge=1, description="or with so many bytes of original images")
    batch_age_s: float = Field(5.0, gt=0, description="or so long after its first event was read")
    workers: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, description="processes that render")
    render_timeout_s: float = Field(120, gt=0, description="an image that takes longer is left out")


class AugmenterSettings(ServiceSettings):
    """All settings of the augmenter."""

    augmenter: AugmenterGroup = Field(default_factory=AugmenterGroup)
