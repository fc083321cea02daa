"""Events of `training-events`: the life of a training job."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from labelstream.events.base import TRAINING_EVENTS, Event
from labelstream.values import FileRef, Position, Sha256, Value

# Every event on the way from a dataset to the model in service hands it on.
AnnotatedMs = Annotated[
    int | None, Field(description="ms: when the newest validated annotation came that the dataset knows of")
]


class DatasetRef(Value):
    """A built dataset: its id and where its description lies."""

    id: str
    description: FileRef = Field(description="dataset.json; the manifest lies beside it")
    cut: Position = Field(description="the dataset is what `annotation-events` said up to this offset, inclusive")
    samples: dict[str, int] = Field(description="samples of each split, variants counted")
    test_images: int


class Interval(Value):
    """Where a figure lies with 95 % confidence, by bootstrap over the images."""

    low: float
    high: float


class Metrics(Value):
    """Detection metrics on one split."""

    map50: float
    map50_95: float
    precision: float
    recall: float
    images: int
    per_class: dict[str, float] = Field(default_factory=dict, description="mAP50-95 of each class")
    map50_interval: Interval | None = None
    map50_95_interval: Interval | None = None


class WeightsRef(Value):
    """A network's weights in the data bucket, and what the network is."""

    id: str = Field(description="of whose they are: digest of imported weights, or a model's id")
    weights: FileRef = Field(description="safetensors")
    architecture: FileRef = Field(description="JSON: the model yaml, image size and class names")


class ChampionMetrics(Value):
    """The model in service when a job ended, measured on the job's own test images in the same run."""

    model: str
    test: Metrics
    difference: float = Field(description="mAP50 of the new weights less the champion's, on the same images")
    difference_interval: Interval | None = None


class TrainingEvent(Event):
    """What every event of a job says."""

    stream: ClassVar[str] = TRAINING_EVENTS

    job: str = Field(description="derived from dataset and recipe: asking twice trains once")


class TrainingRequested(TrainingEvent):
    """A training is due: this dataset, this recipe."""

    type: ClassVar[str] = "training.requested"

    cause: Literal["policy", "schedule", "request"]
    dataset: DatasetRef
    recipe: dict[str, Any] = Field(description="the training recipe, as data")
    recipe_digest: Sha256
    initial: WeightsRef | None = Field(None, description="imported weights to begin with; null: from scratch")
    retry_of: str | None = Field(None, description="the job that ended without success, and is done again")
    annotated_ms: AnnotatedMs = None
    warnings: tuple[str, ...] = Field((), description="what the dataset lacks, though not so much as to refuse it")


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
    images_per_s: float | None = Field(None, description="of the epoch's training part")
    memory_bytes: int | None = Field(None, description="the most held so far: of the accelerator, else of the process")
    batch: int | None = None
    learning_rate: float | None = Field(None, description="at the end of the epoch")


class TrainingRecovered(TrainingEvent):
    """Something went wrong in an attempt, and it went on by itself from the last good checkpoint."""

    type: ClassVar[str] = "training.recovered"

    attempt: int
    epoch: int = Field(description="epochs that stand; the training goes on after them")
    rule: str = Field(description="out-of-memory, not-finite, checkpoint-damaged, disk-full or engine-died")
    reason: str
    batch: int | None = Field(None, description="from now on")
    learning_rate_scale: float = Field(1.0, description="from now on, of the recipe's rate")


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
    epochs: int | None = Field(None, description="trained; fewer than the recipe's when patience ended it")
    seconds: float | None = Field(None, description="of the attempt that finished")
    evaluation: FileRef | None = Field(None, description="JSON: test metrics per class and slice, confusion matrix")
    report: FileRef | None = Field(None, description="one HTML page without outer references")
    card: FileRef | None = Field(None, description="the model card, Markdown")
    champion: ChampionMetrics | None = None
    annotated_ms: AnnotatedMs = None


class TrainingFailed(TrainingEvent):
    """The job ended without a model."""

    type: ClassVar[str] = "training.failed"

    attempt: int
    rule: str
    reason: str


class TrainingCancelled(TrainingEvent):
    """Somebody asked for the end of the job."""

    type: ClassVar[str] = "training.cancelled"

    attempt: int = Field(description="0: nobody had begun")
    reason: str = ""
    weights: FileRef | None = Field(None, description="of the best epoch so far, if one had ended; safetensors")
    architecture: FileRef | None = None
    best_epoch: int | None = None
    validation: Metrics | None = Field(None, description="of the best epoch so far")
