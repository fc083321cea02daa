"""What was erased is in no dataset, whatever its cut; what stood beside it still is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from labelstream.blobs.memory import MemoryBlobs
from labelstream.errors import Rejected
from labelstream.events.base import ANNOTATION_EVENTS, BATCH_EVENTS
from labelstream.events.batch import BatchAugmented, Range
from labelstream.events.envelope import Envelope
from labelstream.service.health import Health
from labelstream.streams.memory import MemoryBroker
from labelstream.values import FileRef, sha256_hex
from labelstream_datasets.building.following import follow_batches
from labelstream_datasets.building.index import BatchIndex
from labelstream_datasets.layout.materialise import FINISHED, materialise
from labelstream_datasets.store import store


def image(number: int) -> str:
    return sha256_hex(f"image {number}".encode())


def images(built: Any) -> set[str]:
    return {row.image for row in built.manifest.rows()}


def covering(batch: Envelope, first: int, last: int) -> Envelope:
    """Return the batch as the answer to another range."""
    covered = Range(stream=ANNOTATION_EVENTS, first=first, last=last)
    return replace(batch, event=batch.event.model_copy(update={"input": covered}))


async def recorded(scribe: Any, archivist: Any, count: int = 6, cuts: Sequence[int] = ()) -> list[Envelope]:
    for n in range(count):
        scribe.record(f"n{n}", n, f"m{n}", split=["train", "val", "test"][n % 3])
    batches: list[Envelope] = await archivist.answer(scribe, cuts)
    return batches


async def test_an_erased_annotation_leaves_the_datasets_of_every_cut(
    scribe: Any, archivist: Any, build_now: Any, blobs: MemoryBlobs, tmp_path: Path
) -> None:
    batches = await recorded(scribe, archivist)
    cut = scribe.offset
    assert image(1) in images(build_now(scribe, batches))
    scribe.erase("n1", 1)
    batches.append(await archivist.erased(cut + 1, scribe.offset, [1], batches))
    left = {image(n) for n in (0, 2, 3, 4, 5)}
    for at in (cut, scribe.offset):
        built = build_now(scribe, batches, cut=at)
        assert images(built) == left
        assert built.description.missing == 0
    folder = await materialise(blobs, Health(), (await store(blobs, built)).description, tmp_path / "d")
    assert (folder / FINISHED).exists()


async def test_what_is_recorded_again_after_its_erasure_counts_from_then_on(
    scribe: Any, archivist: Any, build_now: Any
) -> None:
    batches = await recorded(scribe, archivist)
    cut = scribe.offset
    scribe.erase("n1", 1)
    erased = await archivist.erased(cut + 1, scribe.offset, [1], batches)
    scribe.contents.clear()
    again = scribe.record("n1", 1, "m1")
    (behind,) = await archivist.answer(scribe)
    batches += [covering(erased, cut + 1, again - 1), covering(behind, again, again)]
    assert image(1) in images(build_now(scribe, batches))
    assert image(1) not in images(build_now(scribe, batches, cut=cut))


async def test_an_older_dataset_that_held_it_is_refused_by_name(
    scribe: Any, archivist: Any, build_now: Any, blobs: MemoryBlobs, tmp_path: Path
) -> None:
    batches = await recorded(scribe, archivist)
    older = await store(blobs, build_now(scribe, batches))
    scribe.erase("n1", 1)
    await archivist.erased(scribe.offset, scribe.offset, [1], batches)
    with pytest.raises(Rejected, match=r"dataset\.erased") as refused:
        await materialise(blobs, Health(), older.description, tmp_path / "d")
    assert refused.value.reason == "1 of the dataset's annotations was erased since it was built: n1"
    assert "`--splits train,test`" in refused.value.hint
    assert not (tmp_path / "d" / FINISHED).exists()
    folder = await materialise(blobs, Health(), older.description, tmp_path / "whole", splits=["train", "test"])
    assert len(list(folder.glob("*/images/*"))) == 2 * 3 + 2  # of train with variants


@dataclass
class Watched(MemoryBlobs):
    """A store that remembers what was read of it piece by piece."""

    asked: list[str] = field(default_factory=list)

    async def get_range(self, key: str, start: int, end: int) -> bytes:
        """Read bytes [start, end) of an object."""
        self.asked.append(key)
        return await super().get_range(key, start, end)


async def test_what_was_erased_is_found_before_the_archives_that_are_whole_are_fetched(
    scribe: Any, archivist: Any, build_now: Any, blobs: MemoryBlobs, tmp_path: Path
) -> None:
    batches = await recorded(scribe, archivist, 24, cuts=[5, 10, 15, 20, 25])
    older = await store(blobs, build_now(scribe, batches))
    events = [batch.event for batch in batches if isinstance(batch.event, BatchAugmented)]
    whole = {event.archive.key for event in events[:-2] if event.archive}
    assert len(whole) >= 4
    gone = [event.members[0].name for event in events[-2:]]
    await archivist.erased(scribe.offset, scribe.offset, [int(name[1:]) for name in gone], batches[-2:])
    watched = Watched(_objects=blobs._objects)
    with pytest.raises(Rejected, match=r"2 of the dataset's annotations were erased") as refused:
        await materialise(watched, Health(), older.description, tmp_path / "d")
    assert all(name in refused.value.reason for name in gone)
    assert whole.isdisjoint(watched.asked)
    assert watched.asked


async def test_an_older_dataset_whose_archive_went_whole_is_refused_too(
    scribe: Any, archivist: Any, build_now: Any, blobs: MemoryBlobs, tmp_path: Path
) -> None:
    batches = await recorded(scribe, archivist, 3)
    older = await store(blobs, build_now(scribe, batches))
    await archivist.erased(scribe.offset, scribe.offset, [0, 1, 2], batches)
    with pytest.raises(Rejected, match=r"dataset\.erased"):
        await materialise(blobs, Health(), older.description, tmp_path / "d")


async def test_an_older_dataset_that_never_held_it_follows_its_archives_to_where_they_lie(
    scribe: Any, archivist: Any, build_now: Any, blobs: MemoryBlobs, tmp_path: Path
) -> None:
    batches = await recorded(scribe, archivist)
    scribe.say("n1", "deleted")
    scribe.say("n4", "deleted")
    batches = await archivist.answer(scribe)
    built = build_now(scribe, batches)
    older = await store(blobs, built)
    first = await archivist.erased(scribe.offset, scribe.offset, [1], batches)
    (one,) = first.event.rewritten
    moved = batches[0].event.model_copy(update={"archive": one.by})
    await archivist.erased(scribe.offset, scribe.offset, [4], [replace(batches[0], event=moved)])
    folder = await materialise(blobs, Health(), older.description, tmp_path / "d")
    found = {sha256_hex(path.read_bytes()) for path in folder.glob("*/images/*")}
    assert found == {row.sha256 for row in built.manifest.rows()}


async def test_the_archives_of_another_recipe_are_followed_as_well(scribe: Any, archivist: Any, build_now: Any) -> None:
    batches = await recorded(scribe, archivist)
    scribe.erase("n1", 1)
    archivist.recipe = "b" * 64
    batches.append(await archivist.erased(scribe.offset, scribe.offset, [1], batches))
    index = BatchIndex()
    for offset, batch in enumerate([*batches, batches[-1]]):  # another writer's repeat says nothing new
        index.fold(offset, batch)
    contents = {member.image: (member.image, member.labels) for member in batches[0].event.members}
    assert index.find("default", "a" * 64, contents[image(1)], cut=100) is None
    found = index.find("default", "a" * 64, contents[image(2)], cut=100)
    assert found is not None
    assert found.archive == batches[-1].event.rewritten[0].by


async def test_the_lists_of_a_long_event_are_fetched_before_anything_behind_it_counts(
    scribe: Any, archivist: Any, blobs: MemoryBlobs
) -> None:
    first, second = await recorded(scribe, archivist, 6, cuts=[3])
    file = FileRef.of("lists", first.event.packed_lists())
    short = replace(first, event=first.event.without_lists(file))
    with pytest.raises(ValueError, match="lists lie in the store"):
        BatchIndex().fold(0, short)
    await blobs.put("lists", first.event.packed_lists())
    broker, index, health = MemoryBroker(), BatchIndex(), Health()
    await broker.ensure_stream(BATCH_EVENTS)
    messages = [(number, envelope.to_message()) for number, envelope in enumerate((short, second), 1)]
    await broker.publisher(BATCH_EVENTS, "augmenter").publish(messages)
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(follow_batches(broker, blobs, index, health))
        while index.coverage("default", archivist.recipe) < scribe.offset:  # noqa: ASYNC110  # it tells nobody
            await asyncio.sleep(0)
        following.cancel()
    for member in (*first.event.members, *second.event.members):
        assert index.find("default", archivist.recipe, (member.image, member.labels), cut=100) is not None
