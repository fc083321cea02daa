"""Whether a dataset is enough to train on, and if not, what is missing."""

from __future__ import annotations

from collections.abc import Iterator
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
    train_images_per_class: int = 1


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
    small = [
        f"{split} has {has} {what} and needs {need}: {need - has} missing"
        for split, what, has, need in wanted
        if has < need
    ]
    lacking = [*small, *_rare_classes(description, least.train_images_per_class)]
    if not lacking:
        return None
    return Refusal("dataset.too_small" if small else "dataset.class_too_small", "; ".join(lacking))


def _rare_classes(description: DatasetDescription, need: int) -> Iterator[str]:
    shown = description.count("train").class_images
    for number, name in enumerate(description.class_schema.classes):
        has = shown.get(number, 0)
        if has < need:
            yield f"the class {name} has {has} training images and needs {need}: {need - has} missing"


def warnings(description: DatasetDescription) -> tuple[str, ...]:
    """Return what a training can live with, and somebody should know: classes that can't be learned or measured."""
    train, test = (description.count(split).class_images for split in ("train", "test"))
    said = []
    for number, name in enumerate(description.class_schema.classes):
        learned, measured = train.get(number, 0), test.get(number, 0)
        if not learned:
            said.append(f"the class {name} has no training image, and {measured or 'no'} test images")
        elif not measured:
            said.append(f"the class {name} has no test image, and {learned} training images")
    return tuple(said)
