"""What goes into the training engine and what comes out."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from labelstream.events.training import Metrics
from labelstream.values import Value
from trainer.recipe import TrainingRecipe

WEIGHTS, ARCHITECTURE, PROGRESS = "weights.safetensors", "architecture.json", "progress.ndjson"
CHECKPOINT = Path("run") / "weights" / "last.pt"


class TrainingSpec(Value):
    """A training to do."""

    data: Path = Field(description="a folder with data.yaml and {train,val,test}/{images,labels}")
    recipe: TrainingRecipe
    out_dir: Path = Field(description="everything that the engine writes lies here")
    resume: bool = Field(True, description="go on from the checkpoint in `out_dir`, when it is of this training")


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


class TrainingResult(Value):
    """What a finished training left."""

    best_epoch: int
    epochs: int = Field(description="trained; fewer than the recipe's when patience ended it")
    validation: Metrics = Field(description="of the best epoch")
    test: Metrics = Field(description="of the weights in `weights`, measured once")
    weights: Path = Field(description="safetensors, full precision")
    architecture: Path = Field(description="JSON of labelstream_yolo.architecture.Architecture")
    versions: dict[str, str]
    seconds: float
