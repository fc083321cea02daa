"""What a report is made of. Equal contents make equal reports: times come in as data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from labelstream_datasets.description import DatasetDescription
from labelstream_yolo.architecture import Architecture
from labelstream_yolo.scoring.values import Comparison, Evaluation, Tested
from trainer.engine.contract import TrainingResult
from trainer.recipe import TrainingRecipe


@dataclass(frozen=True)
class ReportContent:
    """Everything that is known of a model when its training ended."""

    project: str
    job: str
    dataset: DatasetDescription
    recipe: TrainingRecipe
    architecture: Architecture
    result: TrainingResult
    tested: Tested
    images: Path  # the folder with the test images that `tested` names
    initial: str | None = None  # name or id of the weights that it began with
    warnings: tuple[str, ...] = ()  # of TrainingRequested
    attempt: int = 1
    worker: str = ""
    ended: datetime | None = None

    @property
    def evaluation(self) -> Evaluation:
        """The model on the test split."""
        return self.tested.model

    @property
    def champion(self) -> Comparison | None:
        """The model in service on the same images."""
        return self.tested.champion


@dataclass(frozen=True)
class Written:
    """Where report and card lie."""

    report: Path
    card: Path
