"""What the decider and a worker say to each other about a job, by the queue and by files in the store."""

from __future__ import annotations

from pydantic import Field

from labelstream.events.training import ChampionMetrics, DatasetRef, Metrics, WeightsRef
from labelstream.values import FileRef, Value
from trainer.engine.contract import Adjustments, Progress
from trainer.recipe import TrainingRecipe

QUEUE = "jobs.train"
# Files of an attempt.
PROGRESS = "progress.json"  # a list of engine.contract.Progress, each epoch of the attempt
RECOVERIES = "recoveries.json"  # a list of engine.contract.Recovery
CHECKPOINTS = "checkpoints.json"  # a list of Checkpoint, the newest first, two at most
LOG = "log.txt"  # the end of the engine's log


class TrainingOrder(Value):
    """What a training job asks for."""

    dataset: DatasetRef
    recipe: TrainingRecipe
    initial: WeightsRef | None = None
    champion: WeightsRef | None = Field(None, description="the model in service when the job was offered")


class Checkpoint(Value):
    """Where a training can be taken up again."""

    epoch: int = Field(description="epochs behind it")
    state: FileRef = Field(description="weights, their average, optimizer and random states, for torch")
    best: FileRef = Field(description="the best weights so far; safetensors")
    adjustments: Adjustments
    history: tuple[Progress, ...]


class CancelMark(Value):
    """Somebody wants the job to end; lies at keys.job_cancel."""

    reason: str = ""


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
