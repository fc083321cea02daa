"""Events of `training-events`: the life of a training job."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from labelstream.events.base import TRAINING_EVENTS, Event
from labelstream.values import FileRef, Position, Sha256, Value


class DatasetRef(Value):
    """A built dataset: its id and where its description lies."""

    id: str
    description: FileRef = Field(description="dataset.json; the manifest lies beside it")
    cut: Position = Field(description="the dataset is what `annotation-events` said up to this offset, inclusive")
    samples: dict[str, int] = Field(description="samples of each split, variants counted")
    test_images: int


class Metrics(Value):
    """Detection metrics on one split."""

    map50: float
    map50_95: float
    precision: float
    recall: float
    images: int
    per_class: dict[str, float] = Field(default_factory=dict, description="mAP50-95 of each class")


class TrainingEvent(Event):
    """What every event of a job says."""

    stream: ClassVar[str] = TRAINING_EVENTS

    job: str = Field(description="derived from dataset and recipe: asking twice trains once")


class TrainingRequested(TrainingEvent):
    """A training is due: this dataset, this recipe."""

    type: ClassVar[str] = "training.requested"

    cause: Literal["policy", "request"]
    dataset: DatasetRef
    recipe: dict[str, Any] = Field(description="the training recipe, as data")
    recipe_digest: Sha256


class TrainingStarted(TrainingEvent):
    """A worker took the job."""

    type: ClassVar[str] = "training.started"

    attempt: int = Field(description="rises each time another worker takes the job over")
    worker: str


class TrainingProgressed(TrainingEvent):
    """An epoch ended."""

    type: ClassVar[str] = "training.progressed"

    attempt: int
    epoch: int = Field(description="from 1")
    epochs: int
    losses: dict[str, float]
    map50: float = Field(description="on the validation split")
    map50_95: float = Field(description="on the validation split")
    seconds: float = Field(description="since the attempt began")
    eta_s: float


class TrainingFinished(TrainingEvent):
    """The best epoch, chosen on validation, was evaluated once on test; its weights are stored."""

    type: ClassVar[str] = "training.finished"

    attempt: int
    dataset: DatasetRef
    weights: FileRef = Field(description="safetensors")
    architecture: FileRef = Field(description="JSON: the model yaml, image size and class names")
    best_epoch: int
    validation: Metrics
    test: Metrics


class TrainingFailed(TrainingEvent):
    """The job ended without a model."""

    type: ClassVar[str] = "training.failed"

    attempt: int
    rule: str
    reason: str


class TrainingCancelled(TrainingEvent):
    """Somebody asked for the end of the job."""

    type: ClassVar[str] = "training.cancelled"

    attempt: int
