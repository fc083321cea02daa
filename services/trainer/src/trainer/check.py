"""Whether a dataset is enough to train on, and if not, what is missing."""

from __future__ import annotations

from dataclasses import dataclass

from labelstream.values import Split
from labelstream_datasets.description import DatasetDescription


@dataclass(frozen=True)
class Minimum:
    """The least that a training needs; fewer test images measure nothing."""

    train_images: int = 1
    val_images: int = 1
    test_images: int = 5
    test_media: int = 1


@dataclass(frozen=True)
class Refusal:
    """Why a training would be worthless."""

    rule: str
    reason: str


def check(description: DatasetDescription, least: Minimum = Minimum()) -> Refusal | None:
    """Return why the dataset is not enough, with the numbers that are missing; None when it is."""
    wanted: list[tuple[Split, str, int, int]] = [
        ("train", "images", description.count("train").images, least.train_images),
        ("val", "images", description.count("val").images, least.val_images),
        ("test", "images", description.count("test").images, least.test_images),
        ("test", "media", description.count("test").media, least.test_media),
    ]
    lacking = [
        f"{split} has {has} {what} and needs {need}: {need - has} missing"
        for split, what, has, need in wanted
        if has < need
    ]
    return Refusal("dataset.too_small", "; ".join(lacking)) if lacking else None


def warnings(description: DatasetDescription) -> list[str]:
    """Return what a training can live with, and somebody should know: classes that can't be learned or measured."""
    names = description.class_schema.classes
    train, test = (set(description.count(split).class_images) for split in ("train", "test"))
    return [
        *(f"{names[i]} has no training image" for i in sorted(test - train) if i < len(names)),
        *(f"{names[i]} has no test image" for i in sorted(train - test) if i < len(names)),
    ]
