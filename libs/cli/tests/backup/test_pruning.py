"""Old snapshots go, and with them what only they named; what is kept stays whole."""

from __future__ import annotations

import pytest

from labelstream_cli.backup import book, checking, making, pruning
from labelstream_cli.backup.book import content
from labelstream_cli.backup.folder import FolderBlobs
from labelstream_cli.running import CommandFailed

from .world import WANTED, World, assert_same, damage, files_of

ERASED = "default/images/erased.jpg"


async def three_backups(old: World, files: FolderBlobs) -> list[str]:
    """Back up three times; before the last, an object was removed from the store. Return the names."""
    await old.buckets["data"].put(ERASED, b"somebody")
    for number in (1, 2, 3):
        if number == 3:
            await old.buckets["data"].delete(ERASED)
        await old.annotate(number, number)
        await old.back_up(files)
    return await book.names(files)


async def contents_of(files: FolderBlobs, name: str) -> set[str]:
    snapshot = await book.read(files, name)
    return {content(entry.sha256) for entry in await making.read_list(files, snapshot.objects)}


async def test_the_newest_stay_and_what_only_older_ones_named_goes(old: World, new: World, files: FolderBlobs) -> None:
    names = await three_backups(old, files)
    only_old = await contents_of(files, names[1]) - await contents_of(files, names[2])
    assert only_old
    made = await old.back_up(files, keep=1)
    assert made.pruned.snapshots == tuple(names)
    assert await book.names(files) == [made.snapshot.name]
    assert not only_old & set(files_of(files))
    assert not (await checking.check(files, made.snapshot)).problems
    await new.restore(files)
    await assert_same(old, new)


async def test_every_snapshot_that_is_kept_is_whole(old: World, files: FolderBlobs) -> None:
    await three_backups(old, files)
    made = await old.back_up(files, keep=3)
    assert len(made.pruned.snapshots) == 1
    for name in await book.names(files):
        assert not (await checking.check(files, await book.read(files, name))).problems


async def test_fewer_snapshots_than_are_to_be_kept_all_stay(old: World, files: FolderBlobs) -> None:
    await three_backups(old, files)
    before = files_of(files)
    assert (await old.back_up(files, keep=4)).pruned == pruning.Pruned()
    assert before.items() <= files_of(files).items()


async def test_without_being_told_nothing_is_removed(old: World, files: FolderBlobs) -> None:
    await three_backups(old, files)
    before = files_of(files)
    await old.back_up(files)
    assert before.items() <= files_of(files).items()


async def test_where_a_kept_snapshot_cannot_be_read_nothing_is_removed(old: World, files: FolderBlobs) -> None:
    names = await three_backups(old, files)
    damage(files, f"snapshots/{names[-1]}")
    before = files_of(files)
    with pytest.raises(CommandFailed, match=names[-1]):
        await pruning.prune(files, 2)
    assert files_of(files) == before


async def test_what_an_interrupted_removal_left_goes_with_the_next(old: World, files: FolderBlobs) -> None:
    names = await three_backups(old, files)
    only_old = await contents_of(files, names[1]) - await contents_of(files, names[2])
    for name in names[:2]:
        await files.delete(f"snapshots/{name}.json")
    made = await old.back_up(files, keep=1)
    assert made.pruned.snapshots == (names[2],)
    assert not only_old & set(files_of(files))


async def test_a_dry_run_names_what_would_go_and_removes_nothing(old: World, files: FolderBlobs) -> None:
    names = await three_backups(old, files)
    before = files_of(files)
    plan = await making.plan(making.Order("the folder", WANTED, keep=2), old.place, files)
    assert plan.superseded == tuple(names[:2])
    assert files_of(files) == before


async def test_a_clock_that_was_put_back_does_not_make_the_newest_the_oldest(old: World, files: FolderBlobs) -> None:
    await old.annotate(1, 5)
    first = (await old.back_up(files)).snapshot
    taken_ms = first.taken_ms + 24 * 3600 * 1000
    ahead = first.model_copy(update={"taken_ms": taken_ms, "name": book.name_of(taken_ms)})
    await files.put(f"snapshots/{ahead.name}.json", ahead.model_dump_json().encode())
    await files.delete(f"snapshots/{first.name}.json")
    await old.annotate(6, 8)
    made = await old.back_up(files, keep=1)
    assert made.pruned.snapshots == (ahead.name,)
    assert await book.names(files) == [made.snapshot.name]
