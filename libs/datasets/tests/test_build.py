from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labelstream.classes import ClassSchema
from labelstream.labels import Box
from labelstream.values import sha256_hex
from labelstream_datasets.build import BuiltDataset, DatasetPlan, build
from labelstream_datasets.index import BatchIndex
from labelstream_datasets.options import DatasetOptions
from labelstream_datasets.splits import Ratios


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


async def test_no_medium_and_no_image_is_in_two_splits_but_a_plain_shuffle_leaks(
    scribe: Any, archivist: Any, build_now: Any
) -> None:
    for n in range(120):
        scribe.record(f"n{n}", n, f"m{n // 3}")
    built = build_now(
        scribe, await archivist.answer(scribe), options=DatasetOptions(ratios=Ratios(train=0.7, val=0.15, test=0.15))
    )
    rows = list(built.manifest.rows())
    assert _leaks((row.image, row.split) for row in rows) == 0
    assert _leaks((row.medium, row.split) for row in rows) == 0
    shuffled = [(row.image, "test" if n % 10 == 0 else "train") for n, row in enumerate(rows)]
    assert _leaks(shuffled) > 0


def _leaks(placed: Any) -> int:
    homes: dict[str, set[str]] = {}
    for what, split in placed:
        homes.setdefault(what, set()).add(split)
    return sum(len(splits) > 1 for splits in homes.values())


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
