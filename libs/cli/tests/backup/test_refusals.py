"""What a backup and a restore refuse, and how they say it."""

from __future__ import annotations

import json

import pytest

from labelstream.events.base import ANNOTATION_EVENTS
from labelstream_cli.backup import book, checking
from labelstream_cli.backup.book import MARK
from labelstream_cli.backup.folder import FolderBlobs
from labelstream_cli.backup.segments import Damaged
from labelstream_cli.running import CommandFailed

from .world import INPUT, World, damage, files_of


async def test_a_stack_that_is_not_empty_is_refused_by_name(old: World, files: FolderBlobs) -> None:
    await old.annotate(1, 5)
    await old.back_up(files)
    other = World()
    await other.annotate(1, 1)
    before = await other.objects()
    with pytest.raises(CommandFailed) as refused:
        await other.restore(files)
    assert "the stream annotations goes up to offset 0" in str(refused.value)
    assert "the bucket data holds default/images/" in str(refused.value)
    assert await other.objects() == before


async def test_streams_that_exist_and_are_empty_do_no_harm(old: World, new: World, files: FolderBlobs) -> None:
    await old.annotate(1, 5)
    await old.back_up(files)
    await new.broker.ensure_stream(INPUT)
    await new.broker.ensure_stream(ANNOTATION_EVENTS)
    await new.restore(files)
    assert await new.holds(INPUT) == await old.holds(INPUT)


@pytest.mark.parametrize("kind", ["streams/annotations/", "streams/annotation-events/", "objects/", "lists/"])
async def test_damage_is_found_by_verify_and_refused_by_restore(
    old: World, new: World, files: FolderBlobs, kind: str
) -> None:
    await old.annotate(1, 5)
    made = await old.back_up(files)
    assert not (await checking.check(files, made.snapshot)).problems
    name = damage(files, kind)
    found = await checking.check(files, made.snapshot)
    assert len(found.problems) == 1
    assert name in found.problems[0]
    with pytest.raises(CommandFailed, match="damaged"):
        await new.restore(files)
    assert await new.objects() == {}
    assert await new.broker_is_empty()


async def test_damage_of_what_is_not_wanted_is_no_hindrance(old: World, new: World, files: FolderBlobs) -> None:
    await old.annotate(1, 5)
    await old.back_up(files)
    damage(files, "streams/annotations/")
    await new.restore(files, only="objects")
    assert await new.objects() == await old.objects()


async def test_a_file_that_is_missing_is_named(old: World, files: FolderBlobs) -> None:
    await old.annotate(1, 5)
    made = await old.back_up(files)
    gone = next(name for name in files_of(files) if name.startswith("objects/"))
    await files.delete(gone)
    assert (await checking.check(files, made.snapshot)).problems == [f"{gone} is missing"]


async def test_without_the_check_damage_is_still_refused_when_it_is_read(
    old: World, new: World, files: FolderBlobs
) -> None:
    await old.annotate(1, 5)
    await old.back_up(files)
    name = damage(files, "objects/")
    with pytest.raises(Damaged, match=name):
        await new.restore(files, unchecked=True)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"format": "labelstream-backup", "version": 2}, "is of version 2 of the backup format"),
        ({"format": "something else", "version": 1}, "does not describe a backup of labelstream"),
        ([], "does not describe a backup of labelstream"),
    ],
    ids=["a later version", "another format", "a list"],
)
async def test_another_format_is_refused(old: World, files: FolderBlobs, told: object, said: str) -> None:
    await old.annotate(1, 1)
    await old.back_up(files)
    await files.put(MARK, json.dumps(told).encode())
    with pytest.raises(CommandFailed, match=said):
        await book.chosen(files, "the folder", None)
    with pytest.raises(CommandFailed, match=said):
        await old.back_up(files)


async def test_a_place_that_holds_something_else_is_left_alone(old: World, files: FolderBlobs) -> None:
    await files.put("letters/to-a-friend.txt", b"hello")
    with pytest.raises(CommandFailed, match=r"letters/to-a-friend\.txt"):
        await old.back_up(files)
    assert set(files_of(files)) == {"letters/to-a-friend.txt"}


async def test_a_stream_that_was_made_anew_is_refused(old: World, files: FolderBlobs) -> None:
    await old.annotate(1, 9)
    await old.back_up(files)
    other = World(buckets=old.buckets)
    await other.annotate(1, 4)
    with pytest.raises(CommandFailed, match="is not the stream of the last backup"):
        await other.back_up(files)


async def test_a_longer_stream_of_the_same_name_is_refused_too(old: World, files: FolderBlobs) -> None:
    await old.annotate(1, 9)
    await old.back_up(files)
    other = World(buckets=old.buckets)
    await other.annotate(5, 30)
    with pytest.raises(CommandFailed, match="is another one now"):
        await other.back_up(files)


async def test_what_was_backed_up_of_a_stream_that_is_gone_stays(old: World, new: World, files: FolderBlobs) -> None:
    await old.annotate(1, 9)
    there = await old.holds("serving-events")
    await old.back_up(files)
    old.broker.delete("serving-events")
    made = await old.back_up(files)
    assert made.gone == ("serving-events",)
    await new.restore(files)
    assert await new.holds("serving-events") == there


async def test_a_snapshot_that_is_not_there_is_told_with_those_that_are(old: World, files: FolderBlobs) -> None:
    await old.annotate(1, 1)
    made = await old.back_up(files)
    with pytest.raises(CommandFailed, match=made.snapshot.name):
        await book.chosen(files, "the folder", "2020-01-01T00-00-00.000Z")


async def test_an_empty_place_holds_no_backup(files: FolderBlobs) -> None:
    with pytest.raises(CommandFailed, match="the folder holds no backup"):
        await book.chosen(files, "the folder", None)
