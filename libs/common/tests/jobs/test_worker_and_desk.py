"""A decider's desk and a worker, on doubles: offered, claimed, done once, fenced."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from labelstream import keys
from labelstream.blobs.leases import Leases
from labelstream.blobs.memory import MemoryBlobs
from labelstream.errors import Rejected
from labelstream.jobs.desk import MAX_FAILURES, Desk
from labelstream.jobs.memory import MemoryJobQueue
from labelstream.jobs.ports import Job
from labelstream.jobs.worker import LEASE, Attempt, TryAgain, Worker
from labelstream.service.health import Health
from labelstream.values import Value

JOB = Job(project="default", id="j1", payload={"n": 7})


class Answer(Value):
    n: int
    attempt: int


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class Office:
    """A decider's desk with its doubles."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.blobs = MemoryBlobs(clock=self.clock)
        self.queue = MemoryJobQueue()
        self.desk = Desk(self.queue, Leases(self.blobs, "decider"), self.blobs, offer_again_s=0)

    def worker(self, name: str, do) -> Worker:
        return Worker("jobs.test", self.queue, Leases(self.blobs, name, ttl_s=20), self.blobs, Health(), do)

    async def until_ended(self, *workers: Worker):
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(worker.run()) for worker in workers]
            while True:
                standing = await self.desk.standing("default", "j1")
                if standing is not None and (standing.result or standing.failure):
                    break
                await self.desk.offer("jobs.test", JOB, standing)
                await asyncio.sleep(0.01)
            for each in running:
                each.cancel()
        return standing


@pytest.fixture
def office():
    return Office()


async def answer(attempt: Attempt) -> Answer:
    return Answer(n=attempt.job.payload["n"], attempt=attempt.number)


async def test_a_job_is_done_and_its_result_found(office):
    standing = await office.until_ended(office.worker("w", answer))
    assert Answer.model_validate_json(standing.result) == Answer(n=7, attempt=1)
    assert (standing.worker, standing.state) == ("w", "finished")


async def test_two_workers_do_a_job_that_was_queued_many_times_once(office):
    done: list[int] = []

    async def slowly(attempt: Attempt) -> Answer:
        done.append(attempt.number)
        await asyncio.sleep(0.05)
        return await answer(attempt)

    for _ in range(5):
        await office.queue.put("jobs.test", JOB)
    await office.until_ended(office.worker("a", slowly), office.worker("b", slowly))
    assert done == [1]


async def test_a_failure_carries_its_rule_and_reason(office):
    async def fail(_: Attempt) -> Answer:
        raise Rejected("test.hopeless", "the number 7 is not even", "Send 8.")

    standing = await office.until_ended(office.worker("w", fail))
    assert (standing.failure.rule, standing.failure.reason) == ("test.hopeless", "the number 7 is not even")


async def test_an_attempt_that_came_to_nothing_is_followed_by_another(office):
    async def at_the_third(attempt: Attempt) -> Answer:
        if attempt.number < 3:
            raise TryAgain("not yet")
        return await answer(attempt)

    standing = await office.until_ended(office.worker("w", at_the_third))
    assert standing.attempt == 3


async def test_a_job_that_ends_every_worker_fails_after_a_bounded_number(office):
    async def never(_: Attempt) -> Answer:
        raise TryAgain("the machine burns")

    standing = await office.until_ended(office.worker("w", never))
    assert standing.failure.rule == "job.too_many_attempts"
    assert standing.attempt == MAX_FAILURES


async def test_a_job_that_is_handed_on_by_stopping_workers_is_not_given_up(office):
    key = keys.job("default", "j1", LEASE)
    for _ in range(MAX_FAILURES + 3):
        lease = await Leases(office.blobs, "deployed anew").claim(key)
        await lease.release()
    standing = await office.until_ended(office.worker("w", answer))
    assert standing.attempt == MAX_FAILURES + 4


async def test_a_dead_workers_job_is_taken_over_and_what_it_leaves_late_is_not_looked_at(office):
    dead = await Leases(office.blobs, "dead", ttl_s=20).claim(keys.job("default", "j1", LEASE))
    office.clock.now += timedelta(seconds=60)
    await office.blobs.put(keys.attempt("default", "j1", 1, "result.json"), b'{"n": -1, "attempt": 1}')
    standing = await office.until_ended(office.worker("alive", answer))
    assert dead is not None
    assert Answer.model_validate_json(standing.result) == Answer(n=7, attempt=2)


async def test_a_worker_that_stops_in_the_middle_hands_the_job_back_at_once(office):
    begun = asyncio.Event()

    async def forever(_: Attempt) -> Answer:
        begun.set()
        await asyncio.sleep(3600)
        raise AssertionError

    stopped = asyncio.create_task(office.worker("first", forever).run())
    await office.queue.put("jobs.test", JOB)
    await begun.wait()
    stopped.cancel()
    await asyncio.wait([stopped])
    assert (await office.desk.standing("default", "j1")).state == "released"
    standing = await office.until_ended(office.worker("second", answer))
    assert (standing.worker, standing.attempt) == ("second", 2)
