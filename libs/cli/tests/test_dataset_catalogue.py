"""Stored datasets are listed, found by the first digits of their ids, and kept until they are forgotten."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from labelstream import keys
from labelstream.blobs.memory import MemoryBlobs
from labelstream.classes import ClassSchema
from labelstream.events.base import ANNOTATION_EVENTS, MODEL_EVENTS, TRAINING_EVENTS, Event
from labelstream.events.envelope import Envelope
from labelstream.events.model import ModelExported, ModelPromoted, ModelWithdrawn
from labelstream.events.training import DatasetRef, Metrics, TrainingFinished, TrainingRequested
from labelstream.service.health import Health
from labelstream.streams.memory import MemoryBroker
from labelstream.values import FileRef, Position
from labelstream_cli.datasets.browse import as_entry
from labelstream_cli.datasets.browse_view import show_list, show_one
from labelstream_cli.datasets.catalogue import catalogue, chosen, forget, keep, unname
from labelstream_cli.datasets.place import Place
from labelstream_cli.datasets.uses import Uses, uses
from labelstream_cli.reaching import not_told
from labelstream_cli.running import CommandFailed
from labelstream_datasets.description import DESCRIPTION, DatasetDescription, SplitCount

FILE = FileRef.of("key", b"content")
METRICS = Metrics(map50=0.9, map50_95=0.7, precision=0.9, recall=0.9, images=6)
ABCD, ABCE, FFFF = "abcd" + "1" * 60, "abce" + "2" * 60, "f" * 64


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place("default", MemoryBroker(), MemoryBlobs(), tmp_path, Health(), not_told)


async def write(place: Place, dataset_id: str, **fields: Any) -> DatasetDescription:
    description = DatasetDescription(
        id=dataset_id,
        project="default",
        cut=Position(stream=ANNOTATION_EVENTS, offset=40),
        class_schema=ClassSchema(name="scenes", classes=("car", "silo")),
        recipe="c" * 64,
        counts={"train": SplitCount(media=2, images=3, samples=24, boxes=5, class_images={0: 3})},
        manifest=FILE,
        **fields,
    )
    await place.blobs.put(keys.dataset("default", dataset_id, DESCRIPTION), description.to_json())
    return description


async def say(place: Place, *events: Event) -> None:
    assert isinstance(place.broker, MemoryBroker)
    for event in events:
        await place.broker.ensure_stream(event.stream)
        number = await place.broker.last_publishing_id(event.stream, "test") + 1
        envelope = Envelope.of(event, source="test", answers=f"{number}", project=place.project)
        await place.broker.publisher(event.stream, "test").publish([(number, envelope.to_message())])


def dataset(dataset_id: str) -> DatasetRef:
    return DatasetRef(
        id=dataset_id,
        description=FILE,
        cut=Position(stream=ANNOTATION_EVENTS, offset=40),
        samples={"train": 24},
        test_images=1,
    )


async def used(place: Place) -> None:
    """Say that two trainings took a dataset, and that a model came of one of them."""
    for job in ("one", "two"):
        requested = TrainingRequested(
            job=job, cause="request", dataset=dataset(ABCD), recipe={}, recipe_digest="d" * 64
        )
        await say(place, requested)
    finished = TrainingFinished(
        job="one", attempt=1, dataset=dataset(ABCD), weights=FILE, architecture=FILE, best_epoch=1,
        validation=METRICS, test=METRICS,
    )  # fmt: skip
    exported = ModelExported(
        model="m" * 32, input=Position(stream=TRAINING_EVENTS, offset=3), job="one", dataset_id=ABCD, manifest=FILE,
        signature=FILE, artifacts=(), test=METRICS,
    )  # fmt: skip
    promoted = ModelPromoted(
        model="m" * 32, number=1, manifest=FILE, signature=FILE, statement="{}", statement_signature="", reason="first"
    )
    await say(place, finished, exported, promoted)


async def test_a_dataset_is_found_by_its_first_digits(place: Place) -> None:
    for one in (ABCD, ABCE, FFFF):
        await write(place, one)
    assert (await chosen(place, "abcd")).id == ABCD
    assert (await chosen(place, " FFFF ")).id == FFFF
    assert (await chosen(place, ABCE)).id == ABCE


@pytest.mark.parametrize("given", ["abc", "", "the-one", "abcg", "../../x"])
async def test_what_is_no_beginning_of_an_id_is_refused(place: Place, given: str) -> None:
    await write(place, ABCD)
    with pytest.raises(CommandFailed, match="at least 4 hexadecimal digits"):
        await chosen(place, given)


async def test_digits_of_several_datasets_are_answered_with_all_of_them(place: Place) -> None:
    other = "abcd" + "2" * 60
    for one in (ABCD, other):
        await write(place, one)
    with pytest.raises(CommandFailed) as failed:
        await chosen(place, "abcd")
    assert ABCD[:12] in str(failed.value)
    assert other[:12] in str(failed.value)


async def test_digits_of_no_dataset_are_answered_with_those_that_there_are(place: Place) -> None:
    with pytest.raises(CommandFailed, match="no dataset yet"):
        await chosen(place, "abcd")
    await write(place, FFFF)
    with pytest.raises(CommandFailed, match=FFFF[:12]):
        await chosen(place, "abcd")


async def test_the_datasets_of_another_project_are_not_found(place: Place) -> None:
    await write(place, ABCD)
    other = Place("harbour", place.broker, place.blobs, place.cache, place.health, place.tell)
    assert (await catalogue(other)).datasets == ()


async def test_a_description_that_can_not_be_read_hides_no_other(place: Place) -> None:
    await write(place, FFFF)
    await place.blobs.put(keys.dataset("default", ABCD, DESCRIPTION), b"{")
    found = await catalogue(place)
    assert ([one.id for one in found.datasets], found.unreadable) == ([FFFF], (ABCD,))
    with pytest.raises(CommandFailed, match=r"dataset\.json can't be read"):
        await chosen(place, "abcd")


async def test_a_kept_dataset_has_a_mark_until_it_is_forgotten(place: Place) -> None:
    await write(place, ABCD)
    assert (await chosen(place, ABCD)).kept is None
    await keep(place.blobs, "default", ABCD, None)
    kept = (await chosen(place, ABCD)).kept
    assert kept is not None
    assert kept.name is None
    await forget(place.blobs, "default", ABCD)
    assert (await chosen(place, ABCD)).kept is None


async def test_every_name_that_a_dataset_was_kept_under_stays(place: Place) -> None:
    await write(place, ABCD)
    for given, stand in (
        (None, ()),
        ("baseline", ("baseline",)),
        (None, ("baseline",)),
        (" ", ("baseline",)),
        ("größer", ("baseline", "größer")),
        ("baseline", ("größer", "baseline")),
    ):
        assert (await keep(place.blobs, "default", ABCD, given)).names == stand
        kept = (await chosen(place, ABCD)).kept
        assert kept is not None
        assert (kept.names, kept.name) == (stand, stand[-1] if stand else None)


async def test_names_that_are_given_at_the_same_time_all_stay(place: Place) -> None:
    await write(place, ABCD)
    given = [f"name {number}" for number in range(9)]
    await asyncio.gather(*(keep(place.blobs, "default", ABCD, name) for name in given))
    kept = (await chosen(place, ABCD)).kept
    assert kept is not None
    assert sorted(kept.names) == given


async def test_the_one_name_of_an_older_mark_is_read_and_stays_beside_a_new_one(place: Place) -> None:
    await write(place, ABCD)
    await place.blobs.put(keys.dataset("default", ABCD, "kept"), b'{"name": "old"}')
    assert (await chosen(place, "old")).id == ABCD
    assert (await keep(place.blobs, "default", ABCD, "new")).names == ("old", "new")


async def test_one_name_can_be_taken_and_the_dataset_stays_kept(place: Place) -> None:
    await write(place, ABCD)
    for name in ("a", "b"):
        await keep(place.blobs, "default", ABCD, name)
    assert await unname(place.blobs, "default", ABCD, "c") is None
    for taken, left in (("a", ("b",)), ("b", ())):
        kept = await unname(place.blobs, "default", ABCD, taken)
        assert kept is not None
        assert kept.names == left
    assert (await chosen(place, ABCD)).kept is not None


async def test_a_dataset_is_found_by_its_name_which_goes_before_the_digits_of_another(place: Place) -> None:
    for one in (ABCD, FFFF):
        await write(place, one)
    await keep(place.blobs, "default", FFFF, "abcd")
    assert (await chosen(place, "abcd")).id == FFFF
    assert (await chosen(place, "abcd1")).id == ABCD
    with pytest.raises(CommandFailed, match=r"'nosuch' does not name a dataset \(the names here are abcd\)"):
        await chosen(place, "nosuch")


async def test_the_name_of_several_datasets_is_answered_with_all_of_them(place: Place) -> None:
    for one in (ABCD, FFFF):
        await write(place, one)
        await keep(place.blobs, "default", one, "baseline")
    with pytest.raises(CommandFailed, match="name of 2 datasets") as failed:
        await chosen(place, "baseline")
    assert all(one[:12] in str(failed.value) for one in (ABCD, FFFF))


async def test_a_mark_that_somebody_else_wrote_keeps_the_dataset(place: Place) -> None:
    await write(place, ABCD)
    for content in (b"", b"kept", b"[]", b'{"name": 3}', b'{"names": 3}', b'{"names": [3]}'):
        await place.blobs.put(keys.dataset("default", ABCD, "kept"), content)
        kept = (await chosen(place, ABCD)).kept
        assert kept is not None
        assert kept.name is None


async def test_the_trainings_and_models_of_a_dataset_are_known(place: Place) -> None:
    await used(place)
    said = (await uses(place))[ABCD].as_json()
    assert [(one["job"], one["state"]) for one in said["trainings"]] == [("one", "finished"), ("two", "not finished")]
    assert said["models"] == [{"id": "m" * 32, "in_service": True, "withdrawn": False}]
    await say(place, ModelWithdrawn(model="m" * 32, reason="bad"))
    assert (await uses(place))[ABCD].models[0].withdrawn


async def test_a_dataset_that_nobody_used_has_no_uses(place: Place) -> None:
    for stream in (TRAINING_EVENTS, MODEL_EVENTS):
        await place.broker.ensure_stream(stream)
    assert await uses(place) == {}


async def test_lists_fit_the_terminal_and_name_what_matters(place: Place) -> None:
    await write(place, ABCD, classes=("car",), drop_empty=True, merge={"van": "car"})
    await keep(place.blobs, "default", ABCD, "[bold]baseline")
    await used(place)
    out = io.StringIO()
    show_list("default", await catalogue(place), await uses(place), Console(file=out, width=100, highlight=False))
    text = out.getvalue()
    for part in (ABCD[:12], "kept as [bold]baseline", "2 trainings", "mmmmmmmmmmmm in service", "only car"):
        assert part in text
    assert max(map(len, text.splitlines())) <= 100


async def test_one_dataset_is_shown_with_its_classes(place: Place) -> None:
    await write(place, ABCD, missing=2)
    out = io.StringIO()
    show_one(await chosen(place, ABCD), Uses(), Console(file=out, width=100, highlight=False))
    text = out.getvalue()
    for part in (
        ABCD,
        "offset 40",
        "the defaults",
        "not kept",
        "nothing yet",
        "2 images",
        "1 of 2 classes in no image",
    ):
        assert part in text


async def test_an_entry_for_machines_names_only_unusual_options(place: Place) -> None:
    await write(place, ABCD, salt="other")
    entry = as_entry(await chosen(place, ABCD), Uses())
    assert (entry["options"], entry["samples"], entry["kept"]) == ({"salt": "other"}, {"train": 24}, False)
