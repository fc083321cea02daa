"""What the decider and a worker say to each other about a job, by the queue and by files in the store."""

from __future__ import annotations

from pydantic import Field, ValidationError

from labelstream.events.training import ChampionMetrics, DatasetRef, Metrics, WeightsRef
from labelstream.trainings import CHECKPOINTS, LOG, PROGRESS, RECOVERIES
from labelstream.values import FileRef, Value
from trainer.engine.contract import Adjustments, Progress
from trainer.recipe import TrainingRecipe

__all__ = [
    "CHECKPOINTS",
    "LOG",
    "PROGRESS",
    "QUEUE",
    "RECOVERIES",
    "CancelMark",
    "Checkpoint",
    "TrainingLeft",
    "TrainingOrder",
]

QUEUE = "jobs.train"


class TrainingOrder(Value):
    """What a training job asks for."""

    dataset: DatasetRef
    recipe: TrainingRecipe
    initial: WeightsRef | None = None
    champion: WeightsRef | None = Field(None, description="the model in service when the job was offered")
    warnings: tuple[str, ...] = Field((), description="what the dataset lacks; for the report")


class Checkpoint(Value):
    """Where a training can be taken up again."""

    epoch: int = Field(description="epochs behind it")
    state: FileRef = Field(description="weights, their average, optimizer and random states, for torch")
    best: FileRef = Field(description="the best weights so far; safetensors")
    architecture: FileRef | None = Field(None, description="what network they are of")
    adjustments: Adjustments
    history: tuple[Progress, ...]


class CancelMark(Value):
    """Somebody wants the job to end; lies at keys.job_cancel."""

    reason: str = ""

    @classmethod
    def read(cls, mark: bytes) -> CancelMark:
        """Read a mark; one that can't be understood lies there all the same."""
        try:
            return cls.model_validate_json(mark)
        except ValidationError:
            return cls()


class TrainingLeft(Value):
    """What an attempt leaves for the decider; weights are null when it was cancelled before an epoch had ended."""

    cancelled: bool = False
    reason: str = ""
    weights: FileRef | None = None
    architecture: FileRef | None = None
    best_epoch: int | None = None
    validation: Metrics | None = None
    test: Metrics | None = None
    epochs: int | None = None
    seconds: float | None = None
    evaluation: FileRef | None = None
    report: FileRef | None = None
    card: FileRef | None = None
    champion: ChampionMetrics | None = None
