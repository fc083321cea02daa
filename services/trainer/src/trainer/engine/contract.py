"""What goes into the training engine and what comes out."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from labelstream.events.training import Metrics
from labelstream.values import Value
from trainer.recipe import TrainingRecipe

WEIGHTS, ARCHITECTURE, PROGRESS = "weights.safetensors", "architecture.json", "progress.ndjson"
RECOVERIES, TESTED = "recoveries.ndjson", "evaluation.json"
CHECKPOINT, CHECKPOINT_BEFORE, BEST = "checkpoint.pt", "checkpoint-before.pt", "best.safetensors"


class Adjustments(Value):
    """What recoveries changed of the recipe; kept in each checkpoint, so that who takes over goes on with it."""

    batch: int | None = Field(None, description="null: the recipe's")
    learning_rate_scale: float = 1.0
    not_finite: int = Field(0, description="how often the loss was not a number so far")


class NetworkFiles(Value):
    """A network on this machine's disk."""

    id: str = Field(description="whose: a model's id, or the digest of imported weights")
    weights: Path
    architecture: Path


class TrainingSpec(Value):
    """A training to do."""

    data: Path = Field(description="a folder with data.yaml, media.csv and {train,val,test}/{images,labels}")
    recipe: TrainingRecipe
    out_dir: Path = Field(description="everything that the engine writes lies here")
    resume: bool = Field(True, description="go on from the checkpoint in `out_dir`, when it is of this training")
    device: str = Field("auto", description="auto, cpu, or the accelerators by number, such as 0 or 0,1")
    initial: NetworkFiles | None = Field(None, description="weights to begin with")
    champion: NetworkFiles | None = Field(None, description="the model in service, to be measured beside the new one")
    adjustments: Adjustments = Adjustments()


class Progress(Value):
    """An epoch ended."""

    epoch: int = Field(description="from 1")
    epochs: int
    losses: dict[str, float] = Field(description="means over the epoch")
    map50: float = Field(description="on the validation split")
    map50_95: float = Field(description="on the validation split")
    seconds: float = Field(description="since this process began to train")
    eta_s: float
    images_per_s: float = Field(description="of the epoch's training part")
    memory_bytes: int = Field(0, description="the most held so far: of the accelerator, else of the process")
    batch: int = 0
    learning_rate: float = 0.0


class Recovery(Value):
    """Something went wrong, and the training went on from the last good checkpoint."""

    epoch: int = Field(description="epochs that stand")
    rule: str = Field(description="out-of-memory, not-finite, checkpoint-damaged, disk-full or engine-died")
    reason: str
    batch: int | None = Field(None, description="from now on")
    learning_rate_scale: float = 1.0


class TrainingResult(Value):
    """What a finished training left."""

    best_epoch: int
    epochs: int = Field(description="trained; fewer than the recipe's when patience ended it")
    validation: Metrics = Field(description="of the best epoch")
    test: Metrics = Field(description="of the weights in `weights`, measured once")
    weights: Path = Field(description="safetensors, full precision")
    architecture: Path = Field(description="JSON of labelstream_yolo.architecture.Architecture")
    tested: Path = Field(description="JSON of labelstream_yolo.scoring.values.Tested")
    history: tuple[Progress, ...] = Field(description="every epoch that stands, whoever trained it")
    recoveries: tuple[Recovery, ...] = ()
    versions: dict[str, str]
    device: str = Field(description="in words, such as CPU or the accelerator's name")
    seconds: float


class Kept(Value):
    """The best weights of a training that was ended before its time."""

    best_epoch: int
    validation: Metrics
    weights: Path
    architecture: Path
