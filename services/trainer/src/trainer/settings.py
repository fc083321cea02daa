"""What the trainer is told: `LABELSTREAM_TRAINER__…`, beside the settings that every service shares."""

from __future__ import annotations

import socket
from pathlib import Path

from pydantic import Field

from labelstream.service.settings import ServiceSettings, Settings
from labelstream_datasets.options import DatasetOptions


class TrainerGroup(Settings):
    """Settings of the trainer alone."""

    recipe: str = Field("yolo11n", description="training recipe: a shipped name or the path of a YAML file")
    min_new: int = Field(
        500, ge=0, description="train when so many annotations were validated anew; 0: on request only"
    )
    dataset: DatasetOptions = Field(default_factory=DatasetOptions, description="what a dataset takes of a project")
    min_test_images: int = Field(5, ge=1, description="a training with fewer is refused")
    work: bool = Field(True, description="also run a worker in this process")
    worker: str = Field(default_factory=socket.gethostname, description="the worker's name in events")
    lease_s: float = Field(20, gt=0, description="a worker that is silent for so long has lost its job")
    poll_s: float = Field(1.0, gt=0, description="how often the decider looks at what workers left")


class TrainerSettings(ServiceSettings):
    """All settings of the trainer."""

    trainer: TrainerGroup
    scratch_dir: Path | None = Field(None, description="where datasets are laid out; default: inside state_dir")
