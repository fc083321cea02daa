"""A worker that takes the jobs of several queues, on the double and on the real thing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from labelstream.blobs.leases import Leases
from labelstream.blobs.memory import MemoryBlobs
from labelstream.jobs.desk import Desk
from labelstream.jobs.memory import MemoryJobQueue
from labelstream.jobs.ports import Job, JobQueue
from labelstream.jobs.worker import Attempt, Worker
from labelstream.service.health import Health
from labelstream.values import Value

Takers = tuple[JobQueue, JobQueue]


class Nothing(Value):
    """What the jobs of these tests leave."""


def a_job(name: str) -> Job:
    return Job(project="default", id=name)


def a_worker(
    queue: JobQueue, names: tuple[str, ...], do: Callable[[Attempt], Awaitable[Nothing]], owner: str = "worker",
    blobs: MemoryBlobs | None = None,
) -> Worker:  # fmt: skip
    blobs = blobs or MemoryBlobs()
    return Worker(names, queue, Leases(blobs, owner), blobs, Health(), do)


async def work_until(workers: Sequence[Worker], is_over: Callable[[], bool]) -> None:
    running = [asyncio.create_task(worker.run()) for worker in workers]
    async with asyncio.timeout(60):
        while not is_over():
            assert not any(task.done() for task in running)
            await asyncio.sleep(0.01)  # nobody tells what a worker has done
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def test_a_worker_does_the_jobs_of_each_of_its_queues_one_at_a_time(takers: Takers, queue: str) -> None:
    done: list[str] = []
    at_once: list[int] = []
    busy = 0

    async def do(attempt: Attempt) -> Nothing:
        nonlocal busy
        busy += 1
        at_once.append(busy)
        await asyncio.sleep(0)
        busy -= 1
        done.append(attempt.job.id)
        return Nothing()

    names = (f"{queue}.onnx", f"{queue}.openvino", f"{queue}.empty")
    for name in names[:2]:
        await takers[0].put(name, a_job(f"{name}-1"))
        await takers[0].put(name, a_job(f"{name}-2"))
    await work_until([a_worker(takers[1], names, do)], lambda: len(done) == 4)
    assert sorted(done) == sorted(f"{name}-{number}" for name in names[:2] for number in (1, 2))
    assert set(at_once) == {1}


async def test_a_long_queue_lets_the_others_have_their_turn(takers: Takers, queue: str) -> None:
    done: list[str] = []

    async def do(attempt: Attempt) -> Nothing:
        done.append(attempt.job.id)
        return Nothing()

    names = (f"{queue}.long", f"{queue}.short")
    for number in range(5):
        await takers[0].put(names[0], a_job(f"long-{number}"))
    await takers[0].put(names[1], a_job("short"))
    await work_until([a_worker(takers[1], names, do)], lambda: len(done) == 6)
    assert done.index("short") == 1


async def test_a_job_that_comes_to_any_of_the_queues_later_is_done(takers: Takers, queue: str) -> None:
    done: list[str] = []

    async def do(attempt: Attempt) -> Nothing:
        done.append(attempt.job.id)
        return Nothing()

    names = (f"{queue}.a", f"{queue}.b", f"{queue}.c")
    worker = a_worker(takers[1], names, do)
    for number, name in enumerate(reversed(names), 1):
        await takers[0].put(name, a_job(name))
        await work_until([worker], lambda number=number: len(done) == number)  # type: ignore[misc]  # bound now
    assert done == list(reversed(names))


async def test_two_workers_of_overlapping_queues_do_no_job_twice(takers: Takers, queue: str) -> None:
    done: list[str] = []

    async def do(attempt: Attempt) -> Nothing:
        done.append(attempt.job.id)
        return Nothing()

    blobs = MemoryBlobs()
    names = (f"{queue}.a", f"{queue}.b", f"{queue}.c")
    for number in range(12):
        await takers[0].put(names[number % 3], a_job(f"job-{number}"))
    workers = [
        a_worker(takers[0], names[:2], do, "one", blobs),
        a_worker(takers[1], names[1:], do, "two", blobs),
    ]
    await work_until(workers, lambda: len(set(done)) == 12)
    assert len(done) == 12
    desk = Desk(takers[0], Leases(blobs, "decider"), blobs)
    for number in range(12):
        standing = await desk.standing("default", f"job-{number}")
        assert standing is not None
        assert standing.attempt == 1


async def test_a_worker_without_a_queue_says_so() -> None:
    async def do(_: Attempt) -> Nothing:
        return Nothing()

    with pytest.raises(ValueError, match="needs a queue"):
        await a_worker(MemoryJobQueue(), (), do).run()
