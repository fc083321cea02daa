"""Trainings that do not go as they should: cancelled, on a damaged checkpoint, on a full disk."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from labelstream.blobs.checked import download_checked
from labelstream.events.training import TrainingCancelled, TrainingFinished
from labelstream.trainings import CHECKPOINTS
from labelstream_local.rabbitmq import RabbitServer
from labelstream_local.seaweedfs import WeedServer
from trainer.engine.best import read_best

from .drawn import FEW, store_drawn
from .program import Program
from .watching import a_recipe, epochs_of, one, onlooker, until

DISK_MB, LEFT_MB = 256, 1

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow, pytest.mark.timeout(600)]


async def test_a_cancelled_training_keeps_its_best_weights(
    fresh_rabbitmq: RabbitServer, fresh_seaweedfs: WeedServer, tmp_path: Path
) -> None:
    program = Program("trainer", tmp_path, fresh_rabbitmq, fresh_seaweedfs)
    async with onlooker(fresh_rabbitmq, fresh_seaweedfs) as see:
        await see.ask(await store_drawn(see.blobs, FEW), a_recipe(epochs=1000, patience=1000))
        program.start()
        try:
            asked = await see.until_epoch(2)
            await see.cancel(asked.job, "the labels are wrong")
            job = one(await see.until_ended())
            assert isinstance(job.ended, TrainingCancelled)
            assert job.ended.weights is not None
            weights = await download_checked(see.blobs, job.ended.weights, tmp_path / "weights")
            await until(lambda: bool(program.said("job.done")))
        finally:
            program.stop()

    assert (job.ended.reason, job.ended.attempt) == ("the labels are wrong", 1)
    best = await asyncio.to_thread(read_best, weights)
    assert (best.epoch, best.validation) == (job.ended.best_epoch, job.ended.validation)
    assert not any((program.scratch / "jobs").iterdir())


async def test_a_checkpoint_that_is_damaged_in_the_store_makes_way_for_the_one_before(
    fresh_rabbitmq: RabbitServer, fresh_seaweedfs: WeedServer, tmp_path: Path
) -> None:
    recipe = a_recipe(epochs=20)
    decider = Program("decider", tmp_path, fresh_rabbitmq, fresh_seaweedfs, told={"WORK": "false"})
    first, second = (
        Program(name, tmp_path, fresh_rabbitmq, fresh_seaweedfs, role=("work",)) for name in ("first", "second")
    )
    async with onlooker(fresh_rabbitmq, fresh_seaweedfs) as see:
        await see.ask(await store_drawn(see.blobs, FEW), recipe)
        try:
            decider.start()
            first.start()
            await until(lambda: len(first.said("checkpoint.stored")) > 1)
            await asyncio.to_thread(first.kill)
            (listed,) = [i.key async for i in see.blobs.list("default/jobs/") if i.key.endswith(CHECKPOINTS)]
            newest = json.loads((await see.blobs.get(listed)).data)[0]["state"]["key"]  # one not listed yet is nobody's
            await see.blobs.put(newest, b"damaged")
            second.start()
            job = one(await see.until_ended())
        finally:
            for program in (decider, first, second):
                await asyncio.to_thread(program.stop)

    assert isinstance(job.ended, TrainingFinished)
    assert epochs_of(job) == list(range(1, recipe.epochs + 1))
    recovery, _ = one(job.recoveries)
    assert (recovery.rule, recovery.attempt) == ("checkpoint-damaged", 2)
    trained = [line["epoch"] for line in second.said("epoch.ended")]
    assert trained == list(range(recovery.epoch + 1, recipe.epochs + 1))


@pytest.fixture
def small_disk(tmp_path: Path) -> tuple[str, ...]:
    """What puts a process onto a disk of its own, which is small; skips where the kernel does not let us."""
    may = ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "--user", "--map-root-user", "--mount")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounts = f'mount -t tmpfs -o size={DISK_MB}m tmpfs "{disk}"'
    tried = subprocess.run([*may, "sh", "-c", mounts], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"a process may not mount a disk of its own here: {tried.stderr.strip()}")
    return *may, "sh", "-c", f'{mounts} && exec "$@"', "sh", sys.executable


async def test_a_worker_on_a_full_disk_waits_for_room_and_goes_on(
    fresh_rabbitmq: RabbitServer, fresh_seaweedfs: WeedServer, tmp_path: Path, small_disk: tuple[str, ...]
) -> None:
    recipe = a_recipe(epochs=30)
    program = Program("trainer", tmp_path, fresh_rabbitmq, fresh_seaweedfs)
    program.starts, program.scratch_dir = small_disk, tmp_path / "disk"
    async with onlooker(fresh_rabbitmq, fresh_seaweedfs) as see:
        await see.ask(await store_drawn(see.blobs, FEW), recipe)
        program.start()
        try:
            await see.until_epoch(2)
            disk = Path(f"/proc/{program.process.pid}/root{tmp_path / 'disk'}")
            ballast = await asyncio.to_thread(_fill, disk)
            await until(lambda: bool(program.said("disk.full")))
            waiting = await asyncio.to_thread(program.report)
            await asyncio.to_thread(ballast.unlink)
            job = one(await see.until_ended())
        finally:
            program.stop()

    assert "MB are free" in waiting["degraded"]["disk of the worker"]
    assert isinstance(job.ended, TrainingFinished)
    assert job.attempt == 1
    assert epochs_of(job) == list(range(1, recipe.epochs + 1))
    assert [recovery.rule for recovery, _ in job.recoveries] == ["disk-full"]


def _fill(disk: Path) -> Path:
    """Fill a disk with one file, until almost nothing is left."""
    ballast, piece = disk / "ballast", b"\0" * (1 << 18)
    with ballast.open("wb") as file, suppress(OSError):  # the worker may take the last of it
        while os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize > LEFT_MB << 20:
            file.write(piece)
            file.flush()
    return ballast
