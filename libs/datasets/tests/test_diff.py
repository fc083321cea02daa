"""What changed between two datasets is told image by image."""

from __future__ import annotations

from typing import Any

import pytest

from labelstream.labels import Box
from labelstream.values import sha256_hex
from labelstream_datasets.checking.diff import compare, originals, unusual_options
from labelstream_datasets.options import DatasetOptions
from labelstream_datasets.splits import Ratios
from labelstream_datasets.store import BuiltDataset

TRUCK = (Box(class_id=1, x=0.4, y=0.4, w=0.3, h=0.3),)


def image(number: int) -> str:
    return sha256_hex(f"image {number}".encode())


def names(changed: Any) -> list[str]:
    return [one.name for one in changed]


async def grown(scribe: Any, archivist: Any, build_now: Any) -> tuple[BuiltDataset, BuiltDataset]:
    """Build twice: in between one image is added, one relabelled and one deleted."""
    for n in range(4):
        scribe.record(f"n{n}", n, f"m{n}", split="train")
    before = scribe.offset
    scribe.record("n4", 4, "m4", split="test")
    scribe.record("n0", 0, "m0", outcome="edited", shapes=TRUCK, split="train")
    scribe.say("n2", "deleted")
    batches = await archivist.answer(scribe, [before])
    return build_now(scribe, batches, cut=before), build_now(scribe, batches)


async def test_images_that_came_went_or_were_labelled_anew_are_told_apart(
    scribe: Any, archivist: Any, build_now: Any
) -> None:
    found = compare(*await grown(scribe, archivist, build_now))
    assert (names(found.added), names(found.removed), names(found.relabelled)) == (["n4"], ["n2"], ["n0"])
    assert (found.moved, found.same, found.revaried) == ((), 2, 0)
    assert (found.added[0].before, found.added[0].after) == (None, "test")
    assert (found.removed[0].before, found.removed[0].after) == ("train", None)
    assert found.options == {}


async def test_classes_are_counted_in_both_by_name_and_split(scribe: Any, archivist: Any, build_now: Any) -> None:
    found = compare(*await grown(scribe, archivist, build_now))
    counted = {(one.split, one.name): (one.before, one.after) for one in found.classes}
    # n0 and n3 show a car, n1 and n4 a truck, n2 a person; n0 becomes a truck
    assert counted == {
        ("train", "car"): (2, 1),
        ("train", "truck"): (1, 2),
        ("train", "person"): (1, 0),
        ("test", "truck"): (0, 1),
    }


async def test_a_dataset_does_not_differ_from_itself(scribe: Any, archivist: Any, build_now: Any) -> None:
    old, _ = await grown(scribe, archivist, build_now)
    found = compare(old, old)
    assert found.identical
    assert (found.added, found.removed, found.relabelled, found.moved, found.same) == ((), (), (), (), 4)


async def test_images_that_move_with_other_ratios_are_no_leak(scribe: Any, archivist: Any, build_now: Any) -> None:
    for n in range(6):
        scribe.record(f"n{n}", n, f"m{n}")
    batches = await archivist.answer(scribe)
    half = DatasetOptions(ratios=Ratios(train=1, val=0, test=0))
    other = DatasetOptions(ratios=Ratios(train=0, val=0, test=1))
    found = compare(build_now(scribe, batches, options=half), build_now(scribe, batches, options=other))
    assert names(found.moved) == [f"n{n}" for n in range(6)]
    assert {(one.before, one.after) for one in found.moved} == {("train", "test")}
    assert found.options["ratios"][0]["train"] == 1
    assert found.leaking == ()


async def test_an_image_that_moves_although_the_options_are_the_same_is_a_leak(
    scribe: Any, archivist: Any, build_now: Any
) -> None:
    scribe.record("n0", 0, "m0")
    batches = await archivist.answer(scribe)
    options = DatasetOptions(ratios=Ratios(train=1, val=0, test=0))
    old = build_now(scribe, batches, options=options)
    moved = old.manifest.table.set_column(
        old.manifest.table.schema.get_field_index("split"),
        "split",
        build_now(scribe, batches, options=DatasetOptions(ratios=Ratios(train=0, val=0, test=1)))
        .manifest.table["split"]
        .take([0] * len(old.manifest)),
    )
    new = BuiltDataset(old.description, type(old.manifest)(moved))
    assert names(compare(old, new).leaking) == ["n0"]


async def test_other_variants_of_the_same_images_are_counted(scribe: Any, archivist: Any, build_now: Any) -> None:
    for n in range(3):
        scribe.record(f"n{n}", n, f"m{n}", split="train")
    batches = await archivist.answer(scribe)
    old = build_now(scribe, batches)
    fewer = old.manifest.table.filter([row.variant < 2 for row in old.manifest.rows()])
    found = compare(old, BuiltDataset(old.description, type(old.manifest)(fewer)))
    assert (found.revaried, found.same) == (3, 0)


async def test_an_image_with_the_same_labels_under_another_name_is_renamed_and_not_relabelled(
    scribe: Any, archivist: Any, build_now: Any
) -> None:
    scribe.record("old", 0, "film", split="train")
    scribe.record("same", 1, "film", split="train")
    cut = scribe.offset
    scribe.record("new", 0, "elsewhere", split="train")
    batches = await archivist.answer(scribe, [cut])
    found = compare(build_now(scribe, batches, cut=cut), build_now(scribe, batches))
    assert [(one.name_before, one.name) for one in found.renamed] == [("old", "new")]
    assert (found.relabelled, found.moved, found.added, found.removed, found.same) == ((), (), (), (), 1)


async def test_images_that_move_when_producers_are_ignored_are_no_leak(
    scribe: Any, archivist: Any, build_now: Any
) -> None:
    scribe.record("a", 0, "film", split="test")
    batches = await archivist.answer(scribe)
    ratios = Ratios(train=1, val=0, test=0)
    old = build_now(scribe, batches, options=DatasetOptions(ratios=ratios))
    new = build_now(scribe, batches, options=DatasetOptions(ratios=ratios, published_splits=False))
    found = compare(old, new)
    assert [(one.before, one.after) for one in found.moved] == [("test", "train")]
    assert (found.leaking, found.relabelled, found.renamed) == ((), (), ())
    assert found.options["published_splits"] == (True, False)


async def test_each_image_has_one_original(scribe: Any, archivist: Any, build_now: Any) -> None:
    for n in range(3):
        scribe.record(f"n{n}", n, f"m{n}", split="train")
    built = build_now(scribe, await archivist.answer(scribe))
    found = originals(built.manifest)
    assert set(found) == {image(n) for n in range(3)}
    assert {row.variant for row in found.values()} == {0}
    assert len(built.manifest) > len(found)


@pytest.mark.parametrize(
    ("given", "unusual"),
    [
        ({}, {}),
        ({"salt": "labelstream"}, {}),
        ({"drop_empty": True, "classes": ("car",)}, {"drop_empty": True, "classes": ["car"]}),
        ({"ratios": "50/25/25"}, {"ratios": {"train": 0.5, "val": 0.25, "test": 0.25}}),
    ],
    ids=["none", "a default", "two", "ratios"],
)
def test_options_that_differ_from_the_defaults_are_named(given: dict[str, Any], unusual: dict[str, Any]) -> None:
    assert unusual_options(DatasetOptions(**given)) == unusual
