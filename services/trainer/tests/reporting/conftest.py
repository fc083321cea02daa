"""Contents of reports, small but whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from labelstream.classes import ClassSchema
from labelstream.events.training import Interval, Metrics
from labelstream.values import Position
from labelstream_datasets.description import DatasetDescription, SplitCount
from labelstream_yolo.architecture import Architecture
from labelstream_yolo.scoring.values import (
    ClassScore,
    Comparison,
    Confusion,
    Evaluation,
    Found,
    ImageResult,
    Score,
    SliceScore,
    Tested,
)
from trainer.engine.contract import Progress, Recovery, TrainingResult
from trainer.recipe import TrainingRecipe
from trainer.reporting import ReportContent

LAYER = [-1, 1, "Conv", [8]]


def figures(map50: float | None, images: int = 40, boxes: int = 90, spread: float = 0.03) -> dict[str, object]:
    """The fields of a score."""
    if map50 is None:
        nothing = dict.fromkeys(("map50", "map50_95", "precision", "recall"))
        return {"images": images, "boxes": boxes, **nothing}
    interval = Interval(low=map50 - spread, high=min(1.0, map50 + spread))
    return {
        "images": images,
        "boxes": boxes,
        "map50": map50,
        "map50_95": map50 / 2,
        "precision": 0.75,
        "recall": 0.5,
        "map50_interval": interval,
        "map50_95_interval": interval,
    }


def evaluation(
    names: Sequence[str],
    maps: Sequence[float | None],
    *,
    spread: float = 0.03,
    slices: Sequence[SliceScore] = (),
    counts: Sequence[Sequence[int]] | None = None,
) -> Evaluation:
    """A model on a test split of 40 images."""
    known = [value for value in maps if value is not None]
    counts = counts or np.diag([9] * len(names) + [0]).tolist()
    return Evaluation(
        split="test",
        score=Score.model_validate(figures(sum(known) / len(known), spread=spread)),
        confidence=0.37,
        classes=tuple(
            ClassScore.model_validate(
                {"class_id": number, "name": name, "curve": () if value is None else (1.0, 0.8, 0.1)}
                | figures(value, *((0, 0) if value is None else (20, 30)), spread=spread)
            )
            for number, (name, value) in enumerate(zip(names, maps, strict=True))
        ),
        slices=tuple(slices),
        confusion=Confusion(names=tuple(names), counts=tuple(map(tuple, counts))),
        resamples=1000,
    )


def comparison(against: Evaluation, difference: float, interval: tuple[float, float] | None) -> Comparison:
    """The champion on the same images."""
    low_high = interval and Interval(low=interval[0], high=interval[1])
    return Comparison(model="c" * 32, evaluation=against, difference=difference, difference_interval=low_high)


def history(epochs: int) -> tuple[Progress, ...]:
    """A training that gets better and better."""
    return tuple(
        Progress(
            epoch=epoch,
            epochs=epochs,
            losses={"box_loss": 3 / epoch, "cls_loss": 2 / epoch},
            map50=1 - 1 / (epoch + 1),
            map50_95=0.6 - 0.6 / (epoch + 1),
            seconds=epoch * 10,
            eta_s=0,
            images_per_s=40 + epoch % 3,
            learning_rate=0.002 / epoch,
            batch=8,
        )
        for epoch in range(1, epochs + 1)
    )


@dataclass(frozen=True)
class Contents:
    """Makes contents; every test image is grey, 640 × 480."""

    images: Path
    names: tuple[str, ...] = ("car", "truck", "person")
    evaluation: Callable[..., Evaluation] = field(default=evaluation)
    comparison: Callable[..., Comparison] = field(default=comparison)
    figures: Callable[..., dict[str, object]] = field(default=figures)

    def picture(self, number: int, size: tuple[int, int] = (640, 480)) -> ImageResult:
        """A test image with a box that is found, one that is missed and a false one."""
        name = f"{number:03}.jpg"
        Image.new("RGB", size, (120, 120, 120)).save(self.images / name)
        there = Found(class_id=0, corners=(0.1, 0.1, 0.3, 0.4))
        missed = Found(class_id=1, corners=(0.5, 0.1, 0.7, 0.4), hit=False)
        false = Found(class_id=2, corners=(0.3, 0.6, 0.6, 0.9), confidence=0.5, hit=False)
        hit = there.model_copy(update={"confidence": 0.9})
        return ImageResult(image=name, quality=1 - number / 100, truths=(there, missed), boxes=(hit, false))

    def __call__(
        self,
        *,
        names: Sequence[str] | None = None,
        maps: Sequence[float | None] = (0.8, 0.9, 0.6),
        tested: Tested | None = None,
        epochs: int = 5,
        recoveries: Sequence[Recovery] = (),
        warnings: Sequence[str] = (),
        unseen: Sequence[int] = (),
        pictures: int = 3,
    ) -> ReportContent:
        """`unseen`: classes that no image of train shows; a class without a figure is in no test image."""
        names = tuple(names or self.names)
        tested = tested or Tested(model=evaluation(names, maps))
        tested = tested.model_copy(update={"images": tuple(self.picture(number) for number in range(pictures))})
        shown = {number: 7 for number in range(len(names)) if number not in unseen}
        there = {one.class_id: one.images for one in tested.model.classes if one.images}
        dataset = DatasetDescription(
            id="d" * 64,
            project="street",
            cut=Position(stream="annotation-events", offset=123),
            class_schema=ClassSchema(name="x", classes=names),
            recipe="a" * 64,
            counts={
                "train": SplitCount(media=100, images=100, samples=800, boxes=300, class_images=shown),
                "val": SplitCount(media=30, images=30, samples=30, boxes=60, class_images=shown),
                "test": SplitCount(media=40, images=40, samples=40, boxes=90, class_images=there),
            },
        )
        metrics = Metrics(map50=0.8, map50_95=0.5, precision=0.7, recall=0.6, images=40)
        result = TrainingResult(
            best_epoch=max(1, epochs - 1),
            epochs=epochs,
            validation=metrics,
            test=metrics,
            weights=Path("weights.safetensors"),
            architecture=Path("architecture.json"),
            tested=Path("evaluation.json"),
            history=history(epochs),
            recoveries=tuple(recoveries),
            versions={"torch": "2.0", "ultralytics": "8.0"},
            device="CPU",
            seconds=epochs * 65.0,
        )
        return ReportContent(
            project="street",
            job="b" * 32,
            dataset=dataset,
            recipe=TrainingRecipe(epochs=epochs),
            architecture=Architecture(model={"backbone": [LAYER], "head": [LAYER]}, image_size=640, names=names),
            result=result,
            tested=tested,
            images=self.images,
            warnings=tuple(warnings),
            ended=datetime(2026, 3, 4, 15, 6, tzinfo=UTC),
        )


@pytest.fixture
def contents(tmp_path: Path) -> Contents:
    folder = tmp_path / "images"
    folder.mkdir()
    return Contents(folder)
