"""What every job queue does, the double and the real one."""

from __future__ import annotations

import asyncio

import pytest

from labelstream.errors import Unavailable
from labelstream.jobs.ports import Job, JobQueue

Takers = tuple[JobQueue, JobQueue]


def a_job(number: int = 0) -> Job:
    return Job(project="default", id=f"job-{number}", payload={"number": number, "nested": {"a": [1, 2.5, None]}})


async def take(taker: JobQueue, queue: str, wait_s: float = 5) -> Job | None:
    """Take a job and acknowledge it at once."""
    taken = await taker.take(queue, wait_s)
    if taken is None:
        return None
    await taken.done()
    return taken.job


async def test_a_job_is_taken_as_it_was_put(takers: Takers, queue: str) -> None:
    putter, taker = takers
    job = a_job().model_copy(update={"flow": "flow", "traceparent": "00-trace"})

    await putter.put(queue, job)

    assert await take(taker, queue) == job


async def test_an_empty_queue_gives_nothing(takers: Takers, queue: str) -> None:
    assert await take(takers[0], queue, wait_s=0) is None
    assert await take(takers[0], queue, wait_s=0.05) is None


async def test_a_waiting_job_is_taken_without_any_wait(takers: Takers, queue: str) -> None:
    await takers[0].put(queue, a_job())

    assert await take(takers[1], queue, wait_s=0) == a_job()


async def test_jobs_come_in_the_order_in_which_they_were_put(takers: Takers, queue: str) -> None:
    for number in range(5):
        await takers[0].put(queue, a_job(number))

    assert [await take(takers[1], queue) for _ in range(5)] == [a_job(number) for number in range(5)]


async def test_a_taken_job_is_not_there_any_more(takers: Takers, queue: str) -> None:
    await takers[0].put(queue, a_job())
    await take(takers[0], queue)

    assert await take(takers[1], queue, wait_s=0.05) is None


async def test_a_job_reaches_a_taker_that_waits_already(takers: Takers, queue: str) -> None:
    waiting = asyncio.create_task(take(takers[1], queue, wait_s=60))
    await takers[0].put(queue, a_job())

    assert await waiting == a_job()


async def test_two_takers_share_the_jobs_and_do_none_twice(takers: Takers, queue: str) -> None:
    for taker in takers:  # who has yet to connect comes too late
        await take(taker, queue, wait_s=0.05)
    for number in range(20):
        await takers[0].put(queue, a_job(number))

    async def take_all(taker: JobQueue) -> list[str]:
        taken = []
        while (job := await take(taker, queue, wait_s=0.2)) is not None:
            taken.append(job.id)
        return taken

    first, second = await asyncio.gather(*(take_all(taker) for taker in takers))

    assert sorted(first + second) == sorted(a_job(number).id for number in range(20))
    assert first
    assert second


async def test_a_taker_that_is_busy_elsewhere_holds_no_job_back(takers: Takers, queue: str) -> None:
    await take(takers[0], queue, wait_s=0.05)
    for number in range(3):
        await takers[1].put(queue, a_job(number))

    assert [await take(takers[1], queue, wait_s=5) for _ in range(3)] == [a_job(number) for number in range(3)]


async def test_a_cancelled_taker_loses_no_job(takers: Takers, queue: str) -> None:
    taking = asyncio.create_task(take(takers[0], queue, wait_s=60))
    await take(takers[1], queue, wait_s=0.05)  # by now the first one waits, too
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)

    await takers[1].put(queue, a_job())

    assert await take(takers[1], queue, wait_s=5) == a_job()


async def test_a_job_that_was_taken_and_not_acknowledged_is_delivered_again(takers: Takers, queue: str) -> None:
    await takers[1].put(queue, a_job())
    taken = await takers[0].take(queue)
    assert taken is not None
    assert await take(takers[1], queue, wait_s=0.05) is None

    await takers[0].close()

    assert await take(takers[1], queue) == a_job()
    with pytest.raises(Unavailable):
        await taken.done()


async def test_a_taker_may_hold_several_jobs_and_acknowledge_them_in_any_order(takers: Takers, queue: str) -> None:
    for number in range(3):
        await takers[1].put(queue, a_job(number))
    held = [await takers[0].take(queue) for _ in range(3)]
    for taken in (held[2], held[0]):
        assert taken is not None
        await taken.done()
        await taken.done()  # again does no harm

    await takers[0].close()

    assert await take(takers[1], queue) == a_job(1)
    assert await take(takers[1], queue, wait_s=0.05) is None


async def test_queues_are_apart(takers: Takers, queue: str) -> None:
    await takers[0].put(queue + ".one", a_job(1))

    assert await take(takers[0], queue + ".two", wait_s=0.05) is None
    assert await take(takers[0], queue + ".one") == a_job(1)


async def test_one_taker_waits_on_several_queues_at_once(takers: Takers, queue: str) -> None:
    waiting = [asyncio.create_task(take(takers[0], f"{queue}.{n}", wait_s=60)) for n in range(3)]
    for number in range(3):
        await takers[1].put(f"{queue}.{number}", a_job(number))

    assert await asyncio.gather(*waiting) == [a_job(number) for number in range(3)]
