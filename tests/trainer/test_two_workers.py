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
from .watching import a_recipe, epochs_of, onlooker, until

JOBS = 10

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

        async def ask(seeds: range, epochs: int) -> None:
            for seed in seeds:
                await see.ask(dataset, a_recipe(seed=seed, epochs=epochs))

        try:
            for program in (decider, first, second):
                program.start()
            await ask(range(2), epochs=2)
            killed = await _in_the_middle(first)
            await asyncio.to_thread(first.kill)
            await see.until_ended(2)
            await asyncio.to_thread(first.start)
            await until(lambda: len(first.said("service.started")) == 2)

            await ask(range(2, 4), epochs=2)
            slept = await _in_the_middle(second)
            await asyncio.to_thread(second.sleep)
            await see.until_ended(4)
            await asyncio.to_thread(second.wake)
            await until(lambda: any(line["job"] == slept for line in second.said("job.attempt_lost")))

            await ask(range(4, JOBS), epochs=1)
            jobs = {job.job: job for job in await see.until_ended(JOBS)}
            left = [info.key async for info in see.blobs.list(f"default/jobs/{slept}/")]
        finally:
            for program in (decider, first, second):
                await asyncio.to_thread(program.stop)

    assert len(jobs) == JOBS
    for job in jobs.values():
        assert isinstance(job.ended, TrainingFinished)
        assert epochs_of(job) == list(range(1, job.requested.recipe["epochs"] + 1))
        assert f"/attempts/{job.attempt:04d}/" in job.ended.weights.key
    assert [begun.worker for begun in jobs[killed].attempts] == ["first", "second"]
    assert [begun.worker for begun in jobs[slept].attempts] == ["second", "first"]
    assert not any("attempts/0001/result.json" in key or "attempts/0001/weights" in key for key in left)
    assert killed in {line["job"] for line in second.said("checkpoint.fetched")}
    assert slept in {line["job"] for line in first.said("checkpoint.fetched")}

    undisturbed = {job.job for job in jobs.values()} - {killed, slept}
    assert {jobs[job].attempt for job in undisturbed} == {1}
    trained = [(line["job"], line["epoch"]) for each in (first, second) for line in each.said("epoch.ended")]
    once = [(job, epoch) for job, epoch in trained if job in undisturbed]
    assert sorted(once) == sorted((job, epoch) for job in undisturbed for epoch in epochs_of(jobs[job]))


async def _in_the_middle(program: Program) -> str:
    """Wait until a worker is at a job of which a checkpoint is stored; return the job."""
    found: list[str] = []

    def look() -> bool:
        over = {line["job"] for line in program.said("job.done")}
        found[:] = [line["job"] for line in program.said("checkpoint.stored") if line["job"] not in over]
        return bool(found)

    await until(look)
    return found[-1]
