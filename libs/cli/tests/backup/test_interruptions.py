"""A backup or a restore that was interrupted goes on when the same command is given again."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from labelstream.errors import Unavailable
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.streams.memory import MemoryBroker
from labelstream.streams.memory_writer import MemoryWriter
from labelstream_cli.backup import book, restoring, segments
from labelstream_cli.backup.folder import FolderBlobs
from labelstream_cli.reaching import stored
from labelstream_cli.running import CommandFailed

from .world import INPUT, World, assert_same, files_of


class Killed(BaseException):
    """The process dies here."""


@dataclass
class DyingFiles(FolderBlobs):
    """A folder that is written so often, and then no more."""

    root: Path
    left: int

    async def put(self, key: str, data: bytes) -> str:
        if self.left == 0:
            raise Killed
        self.left -= 1
        return await super().put(key, data)


@dataclass
class FailingWriter(MemoryWriter):
    """Loses its connection at the calls of some numbers: the last one stored half of what it was given."""

    _broker: MemoryBroker
    _stream: str
    fails: set[int]
    error: type[BaseException]
    calls: int = 0

    async def append(self, raws: Sequence[bytes]) -> None:
        self.calls += 1
        if self.calls in self.fails:
            await super().append(raws[: len(raws) // 2])
            raise self.error("broker", "gone") if self.error is Unavailable else self.error()
        await super().append(raws)

    async def append_as(self, publisher: str, publishing_id: int, raw: bytes) -> None:
        self.calls += 1
        await super().append_as(publisher, publishing_id, raw)
        if self.calls in self.fails:  # it was stored, but nobody was told
            raise self.error("broker", "gone") if self.error is Unavailable else self.error()


async def die_in_backup(world: World, files: DyingFiles) -> None:
    with pytest.raises(Killed):
        await world.back_up(files)
    others = asyncio.all_tasks() - {asyncio.current_task()}  # no thread may still write
    await asyncio.gather(*others, return_exceptions=True)


@pytest.mark.parametrize("writes", range(0, 24, 3))
async def test_a_backup_that_was_killed_goes_on(old: World, new: World, files: FolderBlobs, writes: int) -> None:
    await old.annotate(1, 30)
    await die_in_backup(old, DyingFiles(files.root, writes))
    before = files_of(files)
    await old.back_up(files)
    after = files_of(files)
    assert {name: after[name] for name in before if not name.startswith("partial/")} == {
        name: data for name, data in before.items() if not name.startswith("partial/")
    }
    assert not [name for name in after if name.startswith("partial/") or ".unfinished" in name]
    await new.restore(files)
    await assert_same(old, new)


async def test_no_file_is_written_twice_by_a_backup_that_goes_on(old: World, files: FolderBlobs) -> None:
    await old.annotate(1, 30)
    await die_in_backup(old, DyingFiles(files.root, 38))  # every object is there, and some of the streams
    there = {name for name in files_of(files) if name.startswith("streams/")}
    assert there
    made = await old.back_up(files)
    named = {segment.file for stream in made.snapshot.streams for segment in stream.segments}
    assert there <= named
    assert made.copied.size_bytes == 0


async def test_what_an_interrupted_backup_wrote_is_kept_though_retention_removed_its_head(
    old: World, files: FolderBlobs
) -> None:
    await old.annotate(1, 5)
    first = (await old.back_up(files)).snapshot.stream(INPUT)
    assert first is not None
    await old.annotate(6, 30)
    deliveries = [one async for some in stored(old.broker, INPUT, first.end + 1) for one in some]
    left = segments.pack(INPUT, deliveries)
    await files.put(left.segment.file, left.data)
    old.broker.evict(INPUT, deliveries[10].offset)
    found = (await old.back_up(files)).snapshot.stream(INPUT)
    assert found is not None
    assert (found.segments[1:], found.torn) == ((left.segment,), ())


async def test_a_note_of_an_interrupted_backup_that_is_damaged_is_passed_over(old: World, files: FolderBlobs) -> None:
    await old.annotate(1, 3)
    await old.back_up(files)
    note = bytearray(gzip.compress(b"{}" * 100))
    note[10] = 0xFF
    await files.put("partial/note.jsonl.gz", bytes(note))
    await old.back_up(files)
    assert "partial/note.jsonl.gz" not in files_of(files)


@pytest.mark.parametrize("call", range(1, 8))
async def test_a_restore_that_was_killed_goes_on(old: World, new: World, files: FolderBlobs, call: int) -> None:
    await old.annotate(1, 30)
    old.broker.evict("annotations", 5)
    await old.back_up(files)
    writers: list[FailingWriter] = []

    def dying(stream: str) -> FailingWriter:
        writers.append(FailingWriter(new.broker, stream, {call - sum(one.calls for one in writers)}, Killed))
        return writers[-1]

    new.writer = dying
    with pytest.raises(Killed):
        await new.restore(files)
    new.writer = None
    restored = await new.restore(files)
    assert restored.went_on
    await assert_same(old, new)


async def test_a_lost_connection_repeats_nothing_and_loses_nothing(old: World, new: World, files: FolderBlobs) -> None:
    await old.annotate(1, 30)
    await old.back_up(files)
    new.writer = lambda stream: FailingWriter(new.broker, stream, {1, 3}, Unavailable)
    await new.restore(files)
    await assert_same(old, new)


async def test_another_restore_is_refused_where_one_was_begun(old: World, new: World, files: FolderBlobs) -> None:
    await old.annotate(1, 5)
    first = await old.back_up(files)
    await old.annotate(6, 9)
    await old.back_up(files)
    new.writer = lambda stream: FailingWriter(new.broker, stream, {1}, Killed)
    with pytest.raises(Killed):
        await new.restore(files)
    new.writer = None
    with pytest.raises(CommandFailed, match="another restore was begun here") as refused:
        await new.restore(files, first.snapshot.name)
    assert f"`labelstream restore 'the folder' --snapshot {(await book.names(files))[-1]}` goes on" in str(
        refused.value
    )


async def interrupted(new: World, files: FolderBlobs) -> None:
    """Begin a restore of the newest snapshot, and die."""
    new.writer = lambda stream: FailingWriter(new.broker, stream, {1}, Killed)
    with pytest.raises(Killed):
        await new.restore(files)
    new.writer = None


async def test_the_same_command_goes_on_also_when_there_is_a_newer_backup_by_then(
    old: World, new: World, files: FolderBlobs
) -> None:
    await old.annotate(1, 5)
    begun = await old.back_up(files)
    await interrupted(new, files)
    await old.annotate(6, 9)
    await old.back_up(files)
    restored = await new.restore(files)
    assert restored.went_on
    assert restored.snapshot.name == begun.snapshot.name
    assert len(await new.holds(INPUT)) == 5


async def test_a_restore_whose_snapshot_was_removed_says_so(old: World, new: World, files: FolderBlobs) -> None:
    await old.annotate(1, 5)
    begun = await old.back_up(files)
    await interrupted(new, files)
    await old.annotate(6, 9)
    await old.back_up(files, keep=1)
    with pytest.raises(CommandFailed, match=rf"{begun.snapshot.name} was begun here .*`--keep` removes old ones"):
        await new.restore(files)


async def test_what_begins_is_told_by_the_command_that_goes_on_with_it(
    old: World, new: World, files: FolderBlobs
) -> None:
    await old.annotate(1, 2)
    name = (await old.back_up(files)).snapshot.name
    told: list[str] = []
    order = restoring.Order("s3://b/p", await book.read(files, name), more=("--dir", "a b"))
    await restoring.restore(order, new.place, files, note=told.append)
    assert told == [f"labelstream restore s3://b/p --snapshot {name} --dir 'a b'", ""]


async def test_a_writer_that_interferes_is_found(old: World, new: World, files: FolderBlobs) -> None:
    await old.annotate(1, 5)
    await old.back_up(files)

    class Interfered(MemoryWriter):
        async def append(self, raws: Sequence[bytes]) -> None:
            await super().append(raws)
            if self._stream == ANNOTATION_EVENTS:
                new.broker.write_raw(ANNOTATION_EVENTS, b"somebody else's")

    new.writer = lambda stream: Interfered(new.broker, stream)
    with pytest.raises(CommandFailed, match="somebody else writes to it"):
        await new.restore(files)
