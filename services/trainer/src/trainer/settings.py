"""What the trainer is told: `LABELSTREAM_TRAINER__…`, beside the settings that every service shares."""

from __future__ import annotations

import socket
from pathlib import Path

from pydantic import Field, SecretStr

from labelstream.service.settings import ServiceSettings, Settings
from labelstream_datasets.options import DatasetOptions


class TrainerGroup(Settings):
    """Settings of the trainer alone."""

    recipe: str = Field("yolo11n", description="training recipe: a shipped name or the path of a YAML file")
    min_new: int = Field(
        500, ge=0, description="train when so many annotations were validated anew; 0: on request only"
    )
    min_interval_s: float = Field(
        0, ge=0, description="start no training of the policy sooner than this after the last one; 0: no limit"
    )
    schedule: str = Field(
        "",
        description="also train at these times, if anything was validated since: a cron expression in UTC, "
        "such as `0 3 * * *`",
    )
    dataset: DatasetOptions = Field(default_factory=DatasetOptions, description="what a dataset takes of a project")
    min_test_images: int = Field(5, ge=1, description="a training with fewer is refused")
    min_train_images_per_class: int = Field(
        1,
        ge=0,
        description="a training is refused when a class of the dataset has fewer; 0: such classes are only named",
    )
    work: bool = Field(True, description="also run a worker in this process")
    worker: str = Field(default_factory=socket.gethostname, description="the worker's name in events")
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|\d+(,\d+)*)$",
        description="what a worker trains on: auto, cpu, or accelerators by number: 0 or 0,1",
    )
    checkpoint_every_s: float = Field(
        60, ge=0, description="copy the checkpoint to the store at most so often; 0: after every epoch"
    )
    keep_datasets: int = Field(3, ge=1, description="datasets that a worker keeps on its disk, the last used ones")
    disk_patience_s: float = Field(600, ge=0, description="how long a worker whose disk is full waits for room")
    mlflow_url: str = Field("", description="mirror trainings and models to this MLflow server; empty: none")
    mlflow_user: str = Field("admin", description="as whom that server is asked; of no use without a password")
    mlflow_password: SecretStr | None = Field(None, description="left out: no login; best by …__MLFLOW_PASSWORD_FILE")
    mlflow_ca: Path | None = Field(None, description="CA file of an https server; else the CAs that this machine knows")
    lease_s: float = Field(20, gt=0, description="a worker that is silent for so long has lost its job")
    poll_s: float = Field(1.0, gt=0, description="how often the decider looks at what workers left")


class TrainerSettings(ServiceSettings):
    """All settings of the trainer."""

    trainer: TrainerGroup = Field(default_factory=TrainerGroup)
    scratch_dir: Path | None = Field(None, description="where datasets are laid out; default: inside state_dir")
