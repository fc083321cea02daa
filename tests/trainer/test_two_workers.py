"""Ten jobs and two workers, of which one dies and one only seems to: each job is trained once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from labelstream.events.training import TrainingFinished
from labelstream_local.rabbitmq import RabbitServer
from labelstream_local.seaweedfs import WeedServer

from .drawn import FEW, store_drawn
from .program import Program
from .watching import Onlooker, a_recipe, epochs_of, onlooker, until

JOBS, EPOCHS = 10, 2

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow, pytest.mark.timeout(900)]


async def test_two_workers_train_ten_jobs_once_each_though_one_is_killed_and_one_comes_back_from_the_dead(
    fresh_rabbitmq: RabbitServer, fresh_seaweedfs: WeedServer, tmp_path: Path
) -> None:
    decider = Program("decider", tmp_path, fresh_rabbitmq, fresh_seaweedfs, told={"WORK": "false"})
    first, second = (
        Program(name, tmp_path, fresh_rabbitmq, fresh_seaweedfs, role=("work",)) for name in ("first", "second")
    )
    async with onlooker(fresh_rabbitmq, fresh_seaweedfs) as see:
        dataset = await store_drawn(see.blobs, FEW)
        for seed in range(JOBS):
            await see.ask(dataset, a_recipe(seed=seed, epochs=EPOCHS))
        try:
            for program in (decider, first, second):
                program.start()
            killed = await _in_the_middle(first)
            await asyncio.to_thread(first.kill)
            await _taken_over(see, killed)
            await asyncio.to_thread(first.start)

            slept = await _in_the_middle(second, beside=killed)
            await asyncio.to_thread(second.sleep)
            await _taken_over(see, slept)
            await see.until(lambda book: book.jobs[slept].ended is not None)
            await asyncio.to_thread(second.wake)
            await until(lambda: any(line["job"] == slept for line in second.said("job.attempt_lost")))

            jobs = {job.job: job for job in await see.until_ended(JOBS)}
            left = [info.key async for info in see.blobs.list(f"default/jobs/{slept}/")]
        finally:
            for program in (decider, first, second):
                await asyncio.to_thread(program.stop)

    assert len(jobs) == JOBS
    assert all(isinstance(job.ended, TrainingFinished) for job in jobs.values())
    assert all(epochs_of(job) == list(range(1, EPOCHS + 1)) for job in jobs.values())
    undisturbed = [job for job in jobs.values() if job.job not in (killed, slept)]
    assert [job.attempt for job in undisturbed] == [1] * len(undisturbed)
    assert [begun.worker for begun in jobs[slept].attempts] == ["second", "first"]
    ended = jobs[slept].ended
    assert isinstance(ended, TrainingFinished)
    assert (ended.attempt, "/attempts/0002/" in ended.weights.key) == (2, True)
    assert not any("attempts/0001/result.json" in key or "attempts/0001/weights" in key for key in left)
    fetched = {line["job"] for program in (first, second) for line in program.said("checkpoint.fetched")}
    assert {killed, slept} <= fetched
    trained = [line["job"] for program in (first, second) for line in program.said("epoch.ended")]
    assert len([job for job in trained if job not in (killed, slept)]) == EPOCHS * len(undisturbed)


async def _in_the_middle(program: Program, beside: str = "") -> str:
    """Wait until a worker is at a job of which a checkpoint is stored; return the job."""
    found: list[str] = []

    def look() -> bool:
        over = {line["job"] for line in program.said("job.done")} | {beside}
        found[:] = [line["job"] for line in program.said("checkpoint.stored") if line["job"] not in over]
        return bool(found)

    await until(look)
    return found[-1]


async def _taken_over(see: Onlooker, job: str) -> None:
    """Wait until another worker works on a job."""
    await see.until(lambda book: book.jobs[job].attempt > 1 or book.jobs[job].ended is not None)
