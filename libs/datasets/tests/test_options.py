"""What the options make of the same annotations."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from labelstream.classes import ClassSchema
from labelstream.errors import Misconfigured
from labelstream.labels import Box
from labelstream.values import sha256_hex
from labelstream_datasets.archives.originals import ORIGINALS
from labelstream_datasets.building.build import DatasetPlan, build, plan_of
from labelstream_datasets.building.index import BatchIndex
from labelstream_datasets.description import DatasetDescription
from labelstream_datasets.options import DatasetOptions, LabelRules, rules_digest

SCHEMA = ClassSchema(name="scenes", classes=("car", "truck", "person"))
LARGE, SMALL = (0.5, 0.4), (0.1, 0.01)


def image(number: int) -> str:
    return sha256_hex(f"image {number}".encode())


def images(built: Any) -> set[str]:
    return {row.image for row in built.manifest.rows()}


def box(class_id: int, size: tuple[float, float] = LARGE) -> Box:
    return Box(class_id=class_id, x=0.5, y=0.5, w=size[0], h=size[1])


def traffic(scribe: Any) -> None:
    """Three media in train: cars, trucks, people; one image has none, one only a small box."""
    scribe.record("car", 0, "m0", split="train", shapes=[box(0), box(0)])
    scribe.record("truck", 1, "m1", split="train", shapes=[box(1), box(2, SMALL)])
    scribe.record("person", 2, "m2", split="train", shapes=[box(2, SMALL)])
    scribe.record("empty", 3, "m2", split="train", shapes=[])


async def test_without_options_everything_is_taken_and_the_id_is_the_digest_of_the_samples(
    scribe: Any, archivist: Any, build_all: Any
) -> None:
    traffic(scribe)
    built = await build_all(scribe, await archivist.answer(scribe))
    assert built.description.id == built.manifest.id
    assert built.description.project_schema is None
    assert built.description.count("train").class_images == {0: 1, 1: 1, 2: 2}
    assert (built.description.count("train").images, built.description.count("train").boxes) == (4, 5)


async def test_classes_are_merged_and_chosen_and_counted_as_the_dataset_has_them(
    scribe: Any, archivist: Any, build_all: Any
) -> None:
    traffic(scribe)
    batches = await archivist.answer(scribe)
    options = DatasetOptions(merge={"car": "vehicle", "truck": "vehicle"}, classes=("vehicle",))
    built = await build_all(scribe, batches, options=options)
    plain = await build_all(scribe, batches)
    assert built.description.class_schema.classes == ("vehicle",)
    assert built.description.project_schema == plain.description.class_schema
    assert built.description.count("train").class_images == {0: 2}
    assert built.description.count("train").boxes == 3
    assert images(built) == images(plain)  # the same samples, and yet another dataset
    assert built.manifest.id == plain.manifest.id
    assert built.description.id != plain.description.id


async def test_images_whose_boxes_are_all_left_out_can_be_left_out(scribe: Any, archivist: Any, build_all: Any) -> None:
    traffic(scribe)
    batches = await archivist.answer(scribe)
    empty = await build_all(scribe, batches, options=DatasetOptions(drop_empty=True))
    assert images(empty) == {image(0), image(1), image(2)}
    small = await build_all(scribe, batches, options=DatasetOptions(drop_empty=True, min_box_area_percent=1))
    assert images(small) == {image(0), image(1)}
    assert small.description.count("train").class_images == {0: 1, 1: 1}
    people = await build_all(scribe, batches, options=DatasetOptions(drop_empty=True, classes=("person",)))
    assert images(people) == {image(1), image(2)}


async def test_a_class_that_is_none_is_refused(scribe: Any, archivist: Any, build_all: Any) -> None:
    traffic(scribe)
    batches = await archivist.answer(scribe)
    with pytest.raises(Misconfigured, match=r"classes names 'trucks'.*did you mean truck"):
        await build_all(scribe, batches, options=DatasetOptions(classes=("trucks",)))


async def test_a_cap_takes_the_images_of_a_source_whose_digests_come_first(
    scribe: Any, archivist: Any, build_all: Any
) -> None:
    for n in range(20):
        scribe.record(f"n{n}", n, f"m{n % 2}", split="train")
    options = DatasetOptions(most_per_source=3, salt="s")
    built = await build_all(scribe, await archivist.answer(scribe), options=options)
    expected = set()
    for medium in (0, 1):
        digests = {image(n): hashlib.sha256(b"s\n" + bytes.fromhex(image(n))).digest() for n in range(medium, 20, 2)}
        expected |= set(sorted(digests, key=lambda one: digests[one])[:3])
    assert images(built) == expected
    assert built.description.count("train").images == 6
    assert built.description.missing == 0


async def test_a_cap_is_filled_with_images_that_are_to_be_had(scribe: Any, archivist: Any, build_all: Any) -> None:
    archivist.unwilling = {f"n{n}" for n in range(6)}
    for n in range(10):
        scribe.record(f"n{n}", n, "m", split="train", shapes=[] if n in (6, 7) else None)
    options = DatasetOptions(most_per_source=2, drop_empty=True)
    built = await build_all(scribe, await archivist.answer(scribe), options=options)
    assert images(built) == {image(8), image(9)}


async def test_unvalidated_annotations_are_taken_as_originals_alone(
    scribe: Any, archivist: Any, build_all: Any, stored_images: Any
) -> None:
    scribe.record("validated", 0, "m", split="train")
    scribe.record("draft", 1, "m", split="train", validated=False)
    scribe.record("of both kinds", 0, "m", validated=False, shapes=[])
    scribe.record("gone", 2, "m", validated=False)
    scribe.say("gone", "deleted")
    scribe.record("was validated", 3, "m", split="train")
    batches = await archivist.answer(scribe)
    scribe.say("was validated", "unvalidated")
    batches = await archivist.answer(scribe)
    await stored_images([0, 1, 3])
    everything = DatasetOptions(validated_only=False)
    built = await build_all(scribe, batches, options=everything)
    rows = {(row.name, row.variant, row.recipe) for row in built.manifest.rows()}
    drafts = {("draft", 0, ORIGINALS), ("was validated", 0, ORIGINALS)}
    assert rows == {("validated", n, archivist.recipe) for n in range(3)} | drafts
    assert images(await build_all(scribe, batches)) == {image(0)}
    again = await build_all(scribe, batches, options=everything)
    assert again.description.id == built.description.id
    assert list(again.manifest.rows()) == list(built.manifest.rows())


async def test_a_plan_can_be_read_from_a_description_and_gives_the_same_dataset(
    scribe: Any, archivist: Any, build_all: Any
) -> None:
    traffic(scribe)
    options = DatasetOptions(
        ratios="50/30/20",
        salt="x",
        published_splits=False,
        merge={"car": "truck"},
        classes=("truck", "person"),
        min_box_area_percent=0.05,
        drop_empty=True,
        most_per_source=1,
    )
    batches = await archivist.answer(scribe)
    first = await build_all(scribe, batches, options=options)
    plan = plan_of(DatasetDescription.from_json(first.description.to_json()))
    assert plan == DatasetPlan("default", scribe.offset, archivist.recipe, plan.class_schema, options)
    index = BatchIndex()
    for offset, batch in enumerate(batches):
        index.fold(offset, batch)
    assert (await build(scribe.view, index, plan)).description == first.description


async def test_images_that_lose_all_their_boxes_to_the_options_are_counted(
    scribe: Any, archivist: Any, build_all: Any
) -> None:
    traffic(scribe)
    batches = await archivist.answer(scribe)
    cars = await build_all(scribe, batches, options=DatasetOptions(classes=("car",)))
    assert (cars.description.images, cars.description.emptied_images) == (4, 2)  # one had none before
    without = await build_all(scribe, batches, options=DatasetOptions(classes=("car",), drop_empty=True))
    assert (without.description.images, without.description.emptied_images) == (1, 0)


@pytest.mark.parametrize(
    ("ratios", "said"),
    [
        ("-1/50/51", "'-1/50/51' has the share -1: a share is 0 or more"),
        ("nan/1/1", "'nan/1/1' has the share nan: write three numbers"),
        ("inf/1/1", "'inf/1/1' has the share inf: write three numbers"),
        ("0/0/0", "'0/0/0' gives no split anything"),
        ((0, 0, 0), "gives no split anything"),
        ("a/b/c", "'a/b/c' is not three shares"),
        ("70/20", "'70/20' is not three shares"),
    ],
    ids=["negative", "nan", "infinite", "nothing", "numbers", "words", "two"],
)
def test_ratios_that_can_not_be_are_refused_in_words(ratios: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        DatasetOptions(ratios=ratios)


async def test_unvalidated_originals_need_a_store(scribe: Any, archivist: Any) -> None:
    scribe.record("a", 0)
    index = BatchIndex()
    index.fold(0, (await archivist.answer(scribe))[0])
    options = DatasetOptions(validated_only=False)
    plan = DatasetPlan("default", scribe.offset, archivist.recipe, SCHEMA, options)
    with pytest.raises(ValueError, match="say in which store"):
        await build(scribe.view, index, plan)


@pytest.mark.parametrize(
    ("merge", "reason"),
    [
        ({"Car": "Vehicle", "vehicle ": "thing"}, "'vehicle ' is merged into another class"),
        ({"Car": "vehicle", "car ": "thing"}, "'Car' and 'car ' are one class"),
        ({"car": "Car"}, "'car' is merged into another class"),
        ({"car": " "}, "a class without a name"),
    ],
    ids=["chained", "twice", "itself", "nameless"],
)
def test_merges_that_contradict_each_other_are_refused_however_they_are_spelled(
    merge: dict[str, str], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        DatasetOptions(merge=merge)


def test_options_that_mean_the_same_give_the_same_id() -> None:
    one = DatasetOptions(classes=("vehicle", "person"), merge={"Car": "Vehicle"}, min_box_area_percent=1)
    other = DatasetOptions(
        classes=("Person ", "VEHICLE", "person"), merge={" car": "vehicle"}, min_box_area_percent=1.0
    )
    assert rules_digest(one) == rules_digest(other) is not None
    assert rules_digest(DatasetOptions(classes=("person",))) != rules_digest(one)


def test_classes_that_are_added_to_the_project_leave_the_ids_of_a_dataset_as_they_are() -> None:
    options = DatasetOptions(merge={"truck": "Vehicle"})
    before = LabelRules.of(options, SCHEMA)
    after = LabelRules.of(options, SCHEMA.model_copy(update={"classes": (*SCHEMA.classes, "vehicle", "bus")}))
    assert before.class_schema.classes == ("car", "Vehicle", "person")
    assert after.class_schema.classes == ("car", "Vehicle", "person", "bus")
    assert after.ids == (*before.ids, 1, 3)
