from __future__ import annotations

from labelstream.classes import ClassSchema
from labelstream.values import Position, Split
from labelstream_datasets.description import DatasetDescription, SplitCount
from trainer.deciding.check import Minimum, Refusal, check, warnings


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


def test_a_class_without_training_images_is_refused_by_name_with_the_numbers() -> None:
    description = _described(train=10, val=5, test=5).model_copy(update={"counts": _counts({0: 9, 1: 2}, {0: 4})})
    assert check(description) == Refusal(
        "dataset.class_too_small", "the class person has 0 training images and needs 1: 1 missing"
    )
    some = check(description, Minimum(train_images_per_class=3))
    assert some is not None
    assert some.reason == (
        "the class truck has 2 training images and needs 3: 1 missing; "
        "the class person has 0 training images and needs 3: 3 missing"
    )
    assert check(description, Minimum(train_images_per_class=0)) is None


def test_a_small_dataset_that_also_lacks_a_class_is_refused_with_all_that_is_missing() -> None:
    assert check(_described(train=3, val=1, test=4), Minimum(train_images_per_class=4)) == Refusal(
        "dataset.too_small",
        "test has 4 images and needs 5: 1 missing; "
        "the class car has 3 training images and needs 4: 1 missing; "
        "the class truck has 3 training images and needs 4: 1 missing; "
        "the class person has 3 training images and needs 4: 1 missing",
    )


def test_a_class_that_can_not_be_learned_or_measured_is_a_warning() -> None:
    description = _described().model_copy(update={"counts": _counts({0: 1, 2: 5}, {1: 1, 2: 3})})
    assert warnings(description) == (
        "the class car has no test image, and 1 training images",
        "the class truck has no training image, and 1 test images",
    )


def _counts(train: dict[int, int], test: dict[int, int]) -> dict[Split, SplitCount]:
    """Enough of everything, with so many images of each class."""
    return {
        "train": SplitCount(media=9, images=9, class_images=train),
        "val": SplitCount(media=5, images=5),
        "test": SplitCount(media=5, images=5, class_images=test),
    }


def _described(**images: int) -> DatasetDescription:
    """A dataset with so many images in each split, each of its own medium, and of every class."""
    return DatasetDescription(
        id="d" * 64,
        project="default",
        cut=Position(stream="annotation-events", offset=7),
        class_schema=ClassSchema(name="scenes", classes=("car", "truck", "person")),
        recipe="a" * 64,
        counts={
            split: SplitCount(
                media=images[split], images=images[split], class_images=dict.fromkeys(range(3), images[split])
            )
            for split in ("train", "val", "test")
            if split in images
        },
    )
