from __future__ import annotations

from typing import Any

from trainer.dataset.check import Minimum, Refusal, check, warnings


async def test_a_dataset_with_enough_of_everything_is_accepted(scribe: Any, archivist: Any, build_now: Any) -> None:
    for n in range(20):
        scribe.record(f"n{n}", n, f"m{n}", split=["train", "train", "val", "test"][n % 4])
    assert check(build_now(scribe, await archivist.answer(scribe)).description) is None


async def test_too_few_test_images_are_refused_with_the_number_that_is_missing(
    scribe: Any, archivist: Any, build_now: Any
) -> None:
    for n in range(8):
        scribe.record(f"n{n}", n, f"m{n}", split=["train", "val", "val", "test"][n % 4])
    description = build_now(scribe, await archivist.answer(scribe)).description
    assert check(description) == Refusal("dataset.too_small", "test has 2 images and needs 5: 3 missing")
    assert check(description, Minimum(test_images=2)) is None
    few = check(description, Minimum(test_images=2, test_media=4))
    assert few is not None
    assert few.reason == "test has 2 media and needs 4: 2 missing"


async def test_nothing_to_train_on_is_refused(scribe: Any, archivist: Any, build_now: Any) -> None:
    for n in range(6):
        scribe.record(f"n{n}", n, f"m{n}", split="test")
    refused = check(build_now(scribe, await archivist.answer(scribe)).description)
    assert refused is not None
    assert "train has 0 images" in refused.reason
    assert "val has 0 images" in refused.reason


async def test_a_class_that_can_not_be_learned_or_measured_is_a_warning(
    scribe: Any, archivist: Any, build_now: Any
) -> None:
    scribe.record("a", 0, "m0", split="train")  # class 0
    scribe.record("b", 1, "m1", split="test")  # class 1
    description = build_now(scribe, await archivist.answer(scribe)).description
    assert warnings(description) == ["truck has no training image", "car has no test image"]
