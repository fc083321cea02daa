from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labelstream.classes import ClassSchema
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.events.batch import BatchAugmented, Range
from labelstream.events.envelope import Envelope
from labelstream.labels import Box
from labelstream.values import sha256_hex
from labelstream_datasets.building.build import BuiltDataset, DatasetPlan, build
from labelstream_datasets.building.index import BatchIndex
from labelstream_datasets.options import DatasetOptions


def images(built: BuiltDataset) -> dict[str, set[str]]:
    """Return split → digests of the images in it."""
    found: dict[str, set[str]] = {}
    for row in built.manifest.rows():
        found.setdefault(row.split, set()).add(row.image)
    return found


def image(number: int) -> str:
    return sha256_hex(f"image {number}".encode())


def busy(scribe: Any) -> None:
    """A life: recorded, validated late, edited, deleted, the same image twice."""
    for n in range(12):
        scribe.record(f"n{n}", n, f"m{n // 2}", validated=n % 3 != 0)
    scribe.say("n0", "validated", validated=True)
    scribe.record("n1", 1, "m0", outcome="edited", shapes=[Box(class_id=2, x=0.4, y=0.4, w=0.1, h=0.1)])
    scribe.say("n2", "deleted")
    scribe.say("n4", "unvalidated")
    scribe.record("again", 5, "elsewhere")
    scribe.say("n3", "validated", validated=True)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, 60)), salt=st.sampled_from(["a", "b"]))
def test_the_id_does_not_depend_on_where_batches_end(
    scribe: Any, archivist: Any, build_now: Any, cuts: list[int], salt: str
) -> None:
    if scribe.offset < 0:
        busy(scribe)
    whole = build_now(scribe, asyncio.run(archivist.answer(scribe)), options=DatasetOptions(salt=salt))
    parted = build_now(scribe, asyncio.run(archivist.answer(scribe, cuts)), options=DatasetOptions(salt=salt))
    assert parted.description.id == whole.description.id
    assert parted.description.counts == whole.description.counts
    assert len({row.image for row in whole.manifest.rows()}) == 8


async def test_a_past_cut_gives_the_id_that_it_gave_then(scribe: Any, archivist: Any, build_now: Any) -> None:
    archivist.unwilling = {"bad"}
    for n in range(6):
        scribe.record(f"n{n}", n, f"m{n}")
    scribe.record("bad", 99, "m99")
    cut = scribe.offset
    then = build_now(scribe, await archivist.answer(scribe))
    busy(scribe)
    scribe.record("bad again", 99, "m99")  # augmented this time
    later = await archivist.answer(scribe, [cut + 4])
    assert build_now(scribe, later, cut=cut).description.id == then.description.id
    assert (then.description.missing, build_now(scribe, later).description.missing) == (1, 0)
    assert build_now(scribe, later).description.id != then.description.id


async def test_deleted_and_unvalidated_annotations_leave_the_next_dataset(
    scribe: Any, archivist: Any, build_now: Any
) -> None:
    for n in range(4):
        scribe.record(f"n{n}", n)
    scribe.say("n1", "deleted")
    scribe.say("n2", "unvalidated")
    built = build_now(scribe, await archivist.answer(scribe))
    assert set.union(*images(built).values()) == {image(0), image(3)}


async def test_an_edit_replaces_the_labels(scribe: Any, archivist: Any, build_now: Any) -> None:
    scribe.record("a", 1)
    before = build_now(scribe, await archivist.answer(scribe))
    edited = Box(class_id=2, x=0.3, y=0.3, w=0.1, h=0.1)
    scribe.record("a", 1, outcome="edited", shapes=[edited])
    after = build_now(scribe, await archivist.answer(scribe))
    labels = [{row.labels for row in built.manifest.rows()} for built in (before, after)]
    assert len(labels[0]) == len(labels[1]) == 1
    assert labels[0] != labels[1]
    assert before.description.id != after.description.id


async def test_one_image_gives_one_sample_and_the_newest_annotation_stands(
    scribe: Any, archivist: Any, build_now: Any
) -> None:
    scribe.record("a", 1, split="test")
    scribe.record("b", 1, shapes=[])
    built = build_now(scribe, await archivist.answer(scribe))
    assert [row.name for row in built.manifest.rows()] == ["b"]


async def test_variants_are_for_training_alone(scribe: Any, archivist: Any, build_now: Any) -> None:
    for n, split in enumerate(["train", "val", "test"]):
        scribe.record(f"n{n}", n, f"m{n}", split=split)
    built = build_now(scribe, await archivist.answer(scribe))
    variants = {s: [row.variant for row in built.manifest.rows([s])] for s in ("train", "val", "test")}
    assert variants == {"train": [0, 1, 2], "val": [0], "test": [0]}
    assert {s: (c.images, c.samples, c.media) for s, c in built.description.counts.items()} == {
        "train": (1, 3, 1),
        "val": (1, 1, 1),
        "test": (1, 1, 1),
    }


async def test_no_image_moves_between_splits_as_data_grows(scribe: Any, archivist: Any, build_now: Any) -> None:
    homes: dict[str, str] = {}
    for n in range(90):
        scribe.record(f"n{n}", n, f"m{n // 2}")
        scribe.record(f"again{n}", n // 3, f"m{n}", shapes=[])  # an older image, now from another medium
        if n % 30 == 29:
            built = build_now(scribe, await archivist.answer(scribe))
            now = {digest: split for split, digests in images(built).items() for digest in digests}
            assert {digest: now[digest] for digest in homes} == homes
            homes = now
    assert set(homes.values()) == {"train", "val", "test"}


async def test_building_before_everything_is_answered_is_refused(scribe: Any, archivist: Any) -> None:
    for n in range(4):
        scribe.record(f"n{n}", n)
    batches = await archivist.answer(scribe, [2])
    index = BatchIndex()
    index.fold(0, batches[0])
    plan = DatasetPlan("default", scribe.offset, archivist.recipe, ClassSchema(name="s", classes=("car",)))
    with pytest.raises(ValueError, match="archives answer up to offset 2"):
        await build(scribe.view, index, plan)


async def test_coverage_grows_with_what_is_contiguous_and_is_kept_for_each_recipe(scribe: Any, archivist: Any) -> None:
    for n in range(6):
        scribe.record(f"n{n}", n)
    first, second, third = await archivist.answer(scribe, [2, 4])
    index = BatchIndex()
    assert index.coverage("default", archivist.recipe) == -1
    index.fold(0, first)
    index.fold(1, third)
    assert index.coverage("default", archivist.recipe) == 2
    index.fold(2, second)
    index.fold(3, third)  # a repeat says nothing new
    assert index.coverage("default", archivist.recipe) == scribe.offset
    assert index.coverage("other", archivist.recipe) == -1
    archivist.recipe = "b" * 64
    index.fold(4, (await archivist.answer(scribe, [2]))[0])
    assert index.recipe("default") == "b" * 64
    assert index.recipe("default", scribe.offset) == "a" * 64
    assert index.recipe("default", scribe.offset + 1) is None


async def test_what_was_left_out_is_known_with_its_reason(scribe: Any, archivist: Any) -> None:
    archivist.unwilling = {"n0"}
    scribe.record("n0", 0)
    index = BatchIndex()
    (batch,) = await archivist.answer(scribe)
    index.fold(0, batch)
    content = (batch.event.left_out[0].image, batch.event.left_out[0].labels)
    assert index.find("default", archivist.recipe, content, cut=100) is None
    assert index.reason("default", archivist.recipe, content) == "no"


def answered(first: int, last: int, recipe: str) -> Envelope:
    event = BatchAugmented(input=Range(stream=ANNOTATION_EVENTS, first=first, last=last), recipe=recipe)
    return Envelope.of(event, source="augmenter", answers=f"{recipe} {first}", project="default")


def test_a_past_offset_has_the_recipe_that_answered_it_first_and_trainings_the_newest() -> None:
    old, new, third = "a" * 64, "b" * 64, "c" * 64
    index = BatchIndex()
    assert (index.recipe_then("default", 0), index.recipes("default")) == (None, [])
    said = [(0, 4, old), (5, 9, old), (0, 4, new), (5, 12, new), (10, 14, old), (0, 30, third), (13, 31, new)]
    for offset, (first, last, recipe) in enumerate(said):
        index.fold(offset, answered(first, last, recipe))
    then = {cut: index.recipe_then("default", cut) for cut in (0, 9, 10, 12, 13, 14, 15, 30, 31, 32)}
    firsts = [old, old, new, new, old, old, third, third, new, None]
    assert list(then.values()) == firsts
    assert index.recipe("default", 12) == new
    assert index.recipes("default") == [(old, 14), (third, 30), (new, 31)]


async def test_the_perceptual_hash_of_the_original_stands_at_each_of_its_samples(
    scribe: Any, archivist: Any, build_now: Any
) -> None:
    for n in range(3):
        scribe.record(f"n{n}", n, split="train")
    built = build_now(scribe, await archivist.answer(scribe))
    assert {(row.image, row.phash) for row in built.manifest.rows()} == {(image(n), image(n)[-16:]) for n in range(3)}
