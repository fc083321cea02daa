"""A decider's desk and a worker, on doubles: offered, claimed, done once, fenced."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import REGISTRY

from labelstream import keys
from labelstream.blobs.leases import Leases
from labelstream.blobs.memory import MemoryBlobs
from labelstream.errors import Rejected, Unavailable
from labelstream.jobs.desk import MAX_FAILURES, Desk
from labelstream.jobs.memory import MemoryJobQueue
from labelstream.jobs.ports import Job
from labelstream.jobs.worker import FAILURE, LEASE, Attempt, TryAgain, Worker
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


async def test_a_failure_that_can_t_be_understood_is_one(office):
    lease = await Leases(office.blobs, "w").claim(keys.job("default", "j1", LEASE))
    await office.blobs.put(keys.attempt("default", "j1", 1, FAILURE), b"damaged")
    await lease.finish()
    assert (await office.desk.standing("default", "j1")).failure.rule == "job.unreadable_failure"


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


async def test_the_reason_of_the_last_failure_is_told_when_a_job_is_given_up(office):
    async def never(_: Attempt) -> Answer:
        raise TryAgain("the machine burns")

    standing = await office.until_ended(office.worker("w", never))
    assert standing.failure.reason.endswith("the last was w: the machine burns")


async def test_attempts_that_get_somewhere_are_never_too_many(office):
    async def a_step_each(attempt: Attempt) -> Answer:
        attempt.went_on()
        if attempt.number < MAX_FAILURES + 3:
            raise TryAgain("a step further")
        return await answer(attempt)

    standing = await office.until_ended(office.worker("w", a_step_each))
    assert standing.attempt == MAX_FAILURES + 3


async def test_what_clears_up_comes_after_the_result_stands(office):
    stood: list[str] = []

    async def clear_up(attempt: Attempt) -> None:
        standing = await office.desk.standing("default", attempt.job.id)
        stood.append(standing.state)

    worker = office.worker("w", answer)
    await office.until_ended(dataclasses.replace(worker, afterwards=clear_up))
    assert stood == ["finished"]


async def test_a_sleeper_whose_job_was_taken_over_writes_nothing_and_says_that_it_is_lost(office):
    asleep, awake = asyncio.Event(), asyncio.Event()
    attempts: list[Attempt] = []

    async def sleep_over_it(attempt: Attempt) -> Answer:
        if attempt.number > 1:
            return await answer(attempt)
        attempts.append(attempt)
        asleep.set()
        await awake.wait()
        attempt.lease.expires_at = 0  # its clock ran on
        await attempt.put("late", b"late")
        raise AssertionError("it was let write")

    sleeper = dataclasses.replace(office.worker("sleeper", sleep_over_it), through_outages=True)
    await office.queue.put("jobs.test", JOB)
    sleeping = asyncio.create_task(sleeper.run())
    await asleep.wait()
    office.clock.now += timedelta(seconds=60)
    standing = await office.until_ended(office.worker("second", answer))
    awake.set()
    async with asyncio.timeout(10):
        while not attempts[0].is_lost:  # noqa: ASYNC110  # it tells nobody
            await asyncio.sleep(0)
    sleeping.cancel()
    await asyncio.wait([sleeping])
    assert (standing.worker, standing.attempt) == ("second", 2)
    assert await office.desk.left("default", "j1", 1, "late") is None


async def test_after_an_outage_a_lapsed_job_is_not_offered_before_its_owner_had_time_to_renew(office):
    office.desk.grace_s = 3600
    await Leases(office.blobs, "owner", ttl_s=20).claim(keys.job("default", "j1", LEASE))
    office.blobs.away = "maintenance"
    with pytest.raises(Unavailable):
        await office.desk.standing("default", "j1")
    office.clock.now += timedelta(seconds=60)
    office.blobs.away = None

    await office.desk.offer("jobs.test", JOB, await office.desk.standing("default", "j1"))
    assert await office.queue.take("jobs.test", wait_s=0) is None

    office.desk.grace_s = 0
    await office.desk.offer("jobs.test", JOB, await office.desk.standing("default", "j1"))
    assert await office.queue.take("jobs.test", wait_s=0) is not None


async def test_a_job_that_a_worker_dies_of_counts_as_a_failure_with_its_reason(office):
    async def die(_: Attempt) -> Answer:
        raise LookupError("a bug")

    await office.queue.put("jobs.test", JOB)
    with pytest.raises(LookupError):
        await office.worker("w", die).run()
    state = await Leases(office.blobs, "decider").look(keys.job("default", "j1", LEASE))
    assert (state.state, state.failures, state.reason) == ("released", 1, "LookupError('a bug')")


async def test_attempts_are_counted_by_how_they_ended_and_timed(office):
    def counted(outcome: str) -> float:
        labels = {"queue": "jobs.test", "outcome": outcome}
        return REGISTRY.get_sample_value("labelstream_jobs_done_total", labels) or 0

    def figure(name: str) -> float:
        return REGISTRY.get_sample_value(f"labelstream_job_{name}", {"queue": "jobs.test"}) or 0

    running: list[float] = []

    async def at_the_second(attempt: Attempt) -> Answer:
        running.append(figure("running"))
        if attempt.number == 1:
            raise TryAgain("not yet")
        raise Rejected("test.hopeless", "the number 7 is not even", "Send 8.")

    before = {outcome: counted(outcome) for outcome in ("done", "failed", "again", "lost")}
    timed = figure("seconds_count")
    await office.until_ended(office.worker("w", at_the_second))
    assert {outcome: counted(outcome) - there for outcome, there in before.items()} == {
        "done": 0, "failed": 1, "again": 1, "lost": 0,
    }  # fmt: skip
    assert (running, figure("running"), figure("seconds_count") - timed) == ([1, 1], 0, 2)
