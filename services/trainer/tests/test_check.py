from __future__ import annotations

from labelstream.classes import ClassSchema
from labelstream.values import Position, Split
from labelstream_datasets.description import DatasetDescription, SplitCount
from trainer.check import Minimum, Refusal, check, warnings


def test_a_dataset_with_enough_of_everything_is_accepted() -> None:
    assert check(_described(train=10, val=5, test=5)) is None


def test_too_few_test_images_are_refused_with_the_number_that_is_missing() -> None:
    description = _described(train=2, val=4, test=2)
    assert check(description) == Refusal("dataset.too_small", "test has 2 images and needs 5: 3 missing")
    assert check(description, Minimum(test_images=2)) is None
    few = check(description, Minimum(test_images=2, test_media=4))
    assert few is not None
    assert few.reason == "test has 2 media and needs 4: 2 missing"


def test_nothing_to_train_on_is_refused() -> None:
    refused = check(_described(test=6))
    assert refused is not None
    assert "train has 0 images" in refused.reason
    assert "val has 0 images" in refused.reason


def test_a_class_that_can_not_be_learned_or_measured_is_a_warning() -> None:
    counts: dict[Split, SplitCount] = {
        "train": SplitCount(media=1, images=1, class_images={0: 1}),
        "test": SplitCount(media=1, images=1, class_images={1: 1}),
    }
    description = _described().model_copy(update={"counts": counts})
    assert warnings(description) == ["truck has no training image", "car has no test image"]


def _described(**images: int) -> DatasetDescription:
    """A dataset with so many images in each split, each of its own medium."""
    return DatasetDescription(
        id="d" * 64,
        project="default",
        cut=Position(stream="annotation-events", offset=7),
        class_schema=ClassSchema(name="scenes", classes=("car", "truck", "person")),
        recipe="a" * 64,
        counts={
            split: SplitCount(media=images[split], images=images[split])
            for split in ("train", "val", "test")
            if split in images
        },
    )
