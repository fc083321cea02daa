"""A worker's disk is full: it makes room, waits, and goes on; or hands the job to another."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from labelstream.errors import Rejected
from labelstream.jobs.worker import TryAgain
from labelstream.service.health import Health
from trainer.engine.process import EngineFailedError
from trainer.work.room import DiskFull, Room, noticing_full_disks
from trainer.work.scratch import Scratch

from .conftest import EPOCHS
from .test_taking_over import replaced

FULL = EngineFailedError("disk-full", "checkpoint.pt can't be written, 3 MB free", "")


class Disk:
    """Says whether there is room, as one after the other is asked."""

    def __init__(self, *answers: bool) -> None:
        self.answers = list(answers)

    def __call__(self, _room: Room) -> bool:
        return self.answers.pop(0) if self.answers else True


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    return Scratch(tmp_path)


@pytest.fixture
def room(scratch: Scratch) -> Room:
    """A room on a disk that is full, and nobody waits for it."""
    room = Room(scratch, Health(), patience_s=0, pause_s=0)
    room._is_there = lambda: False
    return room


async def full_at_4(hall, times: int = 1):
    async def full(epoch: int) -> None:
        nonlocal times
        if epoch == 4 and times:
            times -= 1
            raise FULL

    hall.engine.happens = full
    await hall.order()


async def test_old_datasets_make_room_and_the_training_goes_on_from_its_checkpoint(hall):
    old = hall.scratch().dataset("old")
    hall.scratch().use(old)
    await full_at_4(hall)

    standing = await hall.worked()

    assert (standing.attempt, standing.result is not None) == (1, True)
    assert not old.exists()
    assert hall.engine.trained == list(range(1, EPOCHS + 1))
    assert await hall.rules_said() == ["disk-full"]


async def test_a_worker_waits_for_room_and_says_so_meanwhile(hall, monkeypatch):
    said: list[dict[str, str]] = []
    disk = Disk(False, False, True)

    def look(room: Room) -> bool:
        said.append(hall.health.report()["degraded"])
        return disk(room)

    monkeypatch.setattr(Room, "_is_there", look)
    await full_at_4(hall)

    standing = await hall.worked()

    assert (standing.attempt, standing.result is not None) == (1, True)
    assert "3 MB free" in said[0]["disk of the worker"]
    assert hall.health.report()["degraded"] == {}


async def test_a_worker_whose_disk_stays_full_hands_the_job_and_its_checkpoint_to_others(hall):
    hall.options = replaced(hall.options, disk_patience_s=0)
    await full_at_4(hall)

    standing = await hall.worked()

    assert standing.state == "released"
    assert "attempts/0001/checkpoint-00003.pt" in hall.files()


async def test_room_that_is_never_enough_wears_patience_out(hall):
    hall.options = replaced(hall.options, disk_patience_s=0.1)
    await full_at_4(hall, times=1_000_000)

    standing = await hall.worked()

    assert standing.state == "released"
    assert hall.engine.trained == [1, 2, 3]


async def test_patience_begins_anew_when_the_training_went_on(room):
    full = DiskFull("it is full")
    with pytest.raises(TryAgain, match="it is full; no room for 0 s, "):
        await room.make(full, ())
    room.patience_s = time.monotonic() - room._full_since  # over, by now
    with pytest.raises(TryAgain):
        await room.make(full, ())
    room.patience_s, room._is_there = 3600, lambda: True
    room.went_on()
    await room.make(full, ())


async def test_what_is_in_use_is_not_removed_for_room(room):
    mine, other, older = (room.scratch.dataset(name) for name in ("mine", "other", "older"))
    for folder in (older, mine, other):
        room.scratch.use(folder)

    with pytest.raises(TryAgain):
        await room.make(DiskFull("it is full"), (mine,))

    assert [folder.exists() for folder in (mine, other, older)] == [True, False, False]


async def test_no_more_is_removed_than_makes_room(room):
    older, newer = room.scratch.dataset("older"), room.scratch.dataset("newer")
    for age, folder in enumerate((older, newer)):
        room.scratch.use(folder)
        os.utime(folder, (age, age))
    room._is_there = lambda: True

    await room.make(DiskFull("it is full"), ())

    assert [folder.exists() for folder in (older, newer)] == [False, True]


async def test_there_is_room_where_as_much_can_be_had(scratch):
    assert Room(scratch, Health(), patience_s=0, needed_bytes=1000)._is_there()


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "spec.json"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        Rejected("disk.full", "the disk is full", "make room"),
        FULL,
    ],
    ids=["no space", "quota", "dataset", "engine"],
)
def test_whatever_meets_a_full_disk_is_one_thing(error):
    with pytest.raises(DiskFull), noticing_full_disks():
        raise error


@pytest.mark.parametrize(
    "error",
    [PermissionError(errno.EACCES, "no"), Rejected("object.missing", "gone", ""), EngineFailedError("no", "no", "")],
    ids=["right", "object", "engine"],
)
def test_other_errors_pass(error):
    with pytest.raises(type(error)) as raised, noticing_full_disks():
        raise error
    assert raised.value is error
