"""What is restored is what was backed up."""

import pytest

from labelstream.events.base import ANNOTATION_EVENTS, BATCH_EVENTS
from labelstream.streams.memory_writer import MemoryWriter
from labelstream.streams.message import Message
from labelstream_cli.backup import book
from labelstream_cli.backup.folder import FolderBlobs
from labelstream_cli.backup.objects import MARKER
from labelstream_cli.running import CommandFailed

from .world import INGEST, INPUT, PRODUCER, World, assert_same, files_of, raw


async def test_every_message_stands_where_it_stood_and_every_object_is_there(
    old: World, new: World, files: FolderBlobs
) -> None:
    await old.annotate(1, 40)
    await old.back_up(files)
    restored = await new.restore(files)
    await assert_same(old, new)
    assert (restored.went_on, restored.objects) == (False, 42)


async def test_bytes_that_are_no_message_come_back_as_they_were(old: World, new: World, files: FolderBlobs) -> None:
    await old.annotate(1, 1)
    strange = [b"", b"\x00", b"no AMQP at all", bytes(range(256)) * 300]
    for one in strange:
        old.broker.write_raw(INPUT, one)
    await old.back_up(files)
    await new.restore(files)
    assert [one for _, one in await new.holds(INPUT)][1:] == strange
    await assert_same(old, new)


async def test_a_repeat_stays_a_repeat_and_the_next_message_stands_behind_the_last(
    old: World, new: World, files: FolderBlobs
) -> None:
    await old.annotate(1, 10)
    await old.back_up(files)
    await new.restore(files)
    before = await new.holds(INPUT)

    await new.broker.publisher(INPUT, PRODUCER).publish([(9, Message(b"again")), (10, Message(b"again"))])
    assert await new.holds(INPUT) == before
    await new.broker.publisher(INPUT, PRODUCER).publish([(11, Message(b"new"))])
    assert (await new.holds(INPUT))[-1] == (before[-1][0] + 1, raw(b"new"))


async def test_many_publishers_of_one_stream_each_go_on_where_they_were(
    old: World, new: World, files: FolderBlobs
) -> None:
    await old.annotate(1, 3)
    for number in range(1, 13):
        await old.say(BATCH_EVENTS, f"augmenter.p{number}.abc", 100 * number)
    await old.back_up(files)
    await new.restore(files)
    for number in range(1, 13):
        assert await new.broker.last_publishing_id(BATCH_EVENTS, f"augmenter.p{number}.abc") == 100 * number
    await assert_same(old, new)


async def test_a_stream_that_lost_its_head_begins_where_it_began(old: World, new: World, files: FolderBlobs) -> None:
    await old.annotate(1, 40)
    old.broker.evict(INPUT, 30)
    first = await old.broker.first_offset(INPUT)
    await old.back_up(files)
    await new.restore(files)
    assert first is not None
    assert first >= 30
    assert await new.broker.first_offset(INPUT) == first
    assert (await new.holds(INPUT))[0][0] == first
    await assert_same(old, new)


async def test_what_was_backed_up_is_kept_when_retention_removes_it(old: World, new: World, files: FolderBlobs) -> None:
    await old.annotate(1, 20)
    everything = await old.holds(INPUT)
    await old.back_up(files)
    old.broker.evict(INPUT, 10)
    await old.annotate(21, 25)
    await old.back_up(files)
    await new.restore(files)
    assert (await new.holds(INPUT))[:20] == everything
    assert await old.holds(INPUT) == [one for one in await new.holds(INPUT) if one[0] >= 10]


class CutAgain(MemoryWriter):
    """Writes a stream of which the broker then removes the beginning, as a policy says."""

    async def close(self) -> None:
        self._broker.evict(self._stream, 10)


async def test_an_input_may_lose_its_head_to_a_policy_while_it_is_restored(
    old: World, new: World, files: FolderBlobs
) -> None:
    await old.annotate(1, 20)
    everything = await old.holds(INPUT)
    await old.back_up(files)
    new.writer = lambda stream: (CutAgain if stream == INPUT else MemoryWriter)(new.broker, stream)
    await new.restore(files)
    assert await new.holds(INPUT) == [one for one in everything if one[0] >= 10]


async def test_a_stream_of_ours_that_loses_its_head_is_not_restored(old: World, new: World, files: FolderBlobs) -> None:
    await old.annotate(1, 20)
    await old.back_up(files)
    new.writer = lambda stream: (CutAgain if stream == ANNOTATION_EVENTS else MemoryWriter)(new.broker, stream)
    with pytest.raises(CommandFailed, match="does not hold at offset"):
        await new.restore(files)


async def test_a_tear_between_two_backups_is_told_and_filled(old: World, new: World, files: FolderBlobs) -> None:
    await old.annotate(1, 10)
    first = await old.back_up(files)
    await old.annotate(11, 30)
    old.broker.evict(INPUT, 25)
    made = await old.back_up(files)
    was, now = first.snapshot.stream(INPUT), made.snapshot.stream(INPUT)
    assert was is not None
    assert now is not None
    left = await old.broker.first_offset(INPUT)
    assert left is not None
    assert [(one.first, one.last) for one in now.torn] == [(was.end + 1, left - 1)]
    await new.restore(files)
    assert [one for one in await new.holds(INPUT) if one[0] > was.end] == await old.holds(INPUT)


async def test_an_empty_stack_can_be_backed_up_and_restored(old: World, new: World, files: FolderBlobs) -> None:
    await old.broker.ensure_stream(ANNOTATION_EVENTS)
    await old.back_up(files)
    restored = await new.restore(files)
    assert (restored.messages, restored.objects) == (0, 0)
    assert await new.broker.last_offset(ANNOTATION_EVENTS) is None


async def test_an_older_snapshot_gives_the_state_of_then(old: World, new: World, files: FolderBlobs) -> None:
    await old.annotate(1, 5)
    then = (await old.holds(ANNOTATION_EVENTS), await old.objects())
    made = await old.back_up(files)
    await old.annotate(6, 12)
    await old.buckets["resources"].delete("devices/edge.json")
    await old.back_up(files)

    await new.restore(files, made.snapshot.name)
    assert (await new.holds(ANNOTATION_EVENTS), await new.objects()) == then
    assert await new.broker.last_publishing_id(ANNOTATION_EVENTS, INGEST) == 5


async def test_a_second_backup_adds_only_what_is_new(old: World, new: World, files: FolderBlobs) -> None:
    await old.annotate(1, 20)
    await old.back_up(files)
    before = files_of(files)
    await old.annotate(21, 22)
    made = await old.back_up(files)
    after = files_of(files)
    assert {name: after[name] for name in before} == before
    assert made.messages == 2 + 2 + 1 + 1 + 1  # messages, receipts, and what each of three others said
    assert made.copied.objects == 3  # two images, and a manifest that changed
    await new.restore(files)
    await assert_same(old, new)


async def test_a_backup_of_nothing_new_adds_a_snapshot_alone(old: World, files: FolderBlobs) -> None:
    await old.annotate(1, 20)
    await old.back_up(files)
    before = set(files_of(files))
    await old.back_up(files)
    (added,) = set(files_of(files)) - before
    assert added.startswith(book.SNAPSHOTS)


async def test_only_the_streams_come_back_where_the_store_is_still_there(
    old: World, new: World, files: FolderBlobs
) -> None:
    await old.annotate(1, 8)
    await old.back_up(files)
    new.buckets = old.buckets
    await new.restore(files, only="streams")
    await assert_same(old, new)


async def test_only_the_objects_come_back_where_the_broker_is_still_there(
    old: World, new: World, files: FolderBlobs
) -> None:
    await old.annotate(1, 8)
    await old.back_up(files)
    new.broker = old.broker
    await new.restore(files, only="objects")
    await assert_same(old, new)


async def test_objects_of_any_size_come_back(old: World, new: World, files: FolderBlobs) -> None:
    await old.annotate(1, 1)
    large = bytes(range(256)) * (40 << 10)  # more than is held in memory at once
    await old.buckets["data"].put("default/archives/large.tar", large)
    await old.buckets["data"].put("default/empty", b"")
    await old.back_up(files)
    await new.restore(files)
    await assert_same(old, new)
    assert MARKER not in {key for _, key in await new.objects()}
