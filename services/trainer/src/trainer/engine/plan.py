"""A training as each process that takes part in it sees it: everything is settled, as data."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from labelstream.values import Value
from labelstream_yolo.architecture import Architecture
from trainer.engine.contract import Recovery, TrainingSpec


class Plan(Value):
    """What is to be trained, and from where on."""

    spec: TrainingSpec = Field(description="with the device, and the batch unless it is measured first")
    identity: str = Field(description="digest of recipe, dataset and first weights")
    architecture: Architecture
    description: Path = Field(description="the dataset, as ultralytics reads it")
    train_images: int
    taken_up: bool = Field(description="whether it goes on from the newest checkpoint")
    recoveries: tuple[Recovery, ...] = Field((), description="so far, whoever trained")
