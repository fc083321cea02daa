"""Leases by clocks that the tests turn: who may take over when, and what an owner learns about its loss."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from labelstream.blobs.leases import Lease, LeaseLost, Leases, LeaseState, keep
from labelstream.blobs.memory import MemoryBlobs
from labelstream.errors import Misconfigured, Unavailable

KEY = "default/jobs/a-job/lease"


@dataclass
class StoreClock:
    now: datetime = field(default_factory=lambda: datetime(2026, 1, 1, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.now

    def turn(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Troubled(MemoryBlobs):
    """A store whose first answer to a write may get lost, so that the call is sent again, and which counts refusals."""

    lose_next: bool = False
    refused: int = 0
    error: Exception | None = None

    async def create(self, key: str, data: bytes) -> str | None:
        if self.lose_next:
            self.lose_next = False
            await super().create(key, data)
        return await super().create(key, data)

    async def replace(self, key: str, data: bytes, etag: str) -> str:
        if self.error is not None:
            raise self.error
        if self.lose_next:
            self.lose_next = False
            await super().replace(key, data, etag)
        try:
            return await super().replace(key, data, etag)
        except Unavailable:
            self.refused += 1
            raise


async def until(condition: Callable[[], bool]) -> None:
    while True:
        if condition():
            return
        await asyncio.sleep(0.001)


@pytest.fixture
def clock() -> StoreClock:
    return StoreClock()


@pytest.fixture
def blobs(clock: StoreClock) -> Troubled:
    return Troubled(clock=clock)


async def claimed(leases: Leases) -> Lease:
    lease = await leases.claim(KEY)
    assert lease is not None
    return lease


async def test_a_lease_is_taken_over_only_after_it_expired_by_the_stores_clock(
    blobs: Troubled, clock: StoreClock
) -> None:
    await claimed(Leases(blobs, "first", ttl_s=30))
    second = Leases(blobs, "second", ttl_s=5)

    clock.turn(30.9)  # the store cuts its times to seconds, so this might be 29.9 and a little
    assert await second.claim(KEY) is None
    assert await second.look(KEY) == LeaseState("first", 1, "held")

    clock.turn(0.1)
    assert await second.look(KEY) == LeaseState("first", 1, "expired", failures=1)
    assert (await claimed(second)).attempt == 2


async def test_a_renewed_lease_lives_on(blobs: Troubled, clock: StoreClock) -> None:
    lease = await claimed(Leases(blobs, "first", ttl_s=30))
    for _ in range(5):
        clock.turn(25)
        await lease.renew()

    assert await Leases(blobs, "second").claim(KEY) is None


async def test_each_takeover_counts_one_attempt_more(blobs: Troubled, clock: StoreClock) -> None:
    attempts = []
    for owner in ("first", "second", "third"):
        attempts.append((await claimed(Leases(blobs, owner, ttl_s=30))).attempt)
        clock.turn(31)

    assert attempts == [1, 2, 3]


async def test_a_lost_owner_can_neither_renew_nor_finish_nor_release(blobs: Troubled, clock: StoreClock) -> None:
    late = await claimed(Leases(blobs, "late", ttl_s=30))
    clock.turn(31)
    await claimed(Leases(blobs, "quick"))

    for write in (late.renew, late.finish, late.release):
        with pytest.raises(LeaseLost):
            await write()
    assert await Leases(blobs, "decider").look(KEY) == LeaseState("quick", 2, "held", failures=1)


async def test_a_finished_lease_stays_finished_whatever_time_passes(blobs: Troubled, clock: StoreClock) -> None:
    lease = await claimed(Leases(blobs, "first"))
    await lease.finish()
    await lease.finish()  # again does no harm
    clock.turn(1e6)

    assert await Leases(blobs, "second").claim(KEY) is None
    assert await Leases(blobs, "second").look(KEY) == LeaseState("first", 1, "finished")
    for write in (lease.renew, lease.release):
        with pytest.raises(LeaseLost):
            await write()


async def test_a_released_lease_is_free_at_once(blobs: Troubled) -> None:
    await (await claimed(Leases(blobs, "first"))).release()

    assert await Leases(blobs, "decider").look(KEY) == LeaseState("first", 1, "released")
    assert (await claimed(Leases(blobs, "second"))).attempt == 2


async def test_an_owner_whose_answers_got_lost_still_holds_its_lease(blobs: Troubled, clock: StoreClock) -> None:
    blobs.lose_next = True
    first = await claimed(Leases(blobs, "first", ttl_s=30))
    blobs.lose_next = True
    await first.renew()
    clock.turn(31)
    blobs.lose_next = True  # of the takeover
    second = await claimed(Leases(blobs, "second"))

    assert (first.attempt, second.attempt) == (1, 2)
    await second.renew()
    with pytest.raises(LeaseLost):
        await first.renew()


async def test_a_lease_whose_object_was_deleted_is_lost(blobs: Troubled) -> None:
    lease = await claimed(Leases(blobs, "first"))
    await blobs.delete(KEY)

    with pytest.raises(LeaseLost):
        await lease.renew()


async def test_a_store_that_is_away_is_said_and_the_lease_goes_on_afterwards(blobs: Troubled) -> None:
    lease = await claimed(Leases(blobs, "first"))
    blobs.away = "maintenance"
    with pytest.raises(Unavailable):
        await lease.renew()

    blobs.away = None
    await lease.renew()


async def test_keeping_renews_while_the_body_runs(blobs: Troubled) -> None:
    async with keep(await claimed(Leases(blobs, "first", ttl_s=30)), every_s=0.001) as lease:
        for _ in range(3):
            seen = lease.expires_at
            await until(lambda: lease.expires_at > seen)  # noqa: B023  it is awaited within the turn

    await lease.renew()


async def test_keeping_ends_with_the_body_and_leaves_the_lease_to_it(blobs: Troubled) -> None:
    tasks = len(asyncio.all_tasks())
    async with keep(await claimed(Leases(blobs, "first"))) as lease:
        await lease.finish()

    assert len(asyncio.all_tasks()) == tasks
    assert await Leases(blobs, "decider").look(KEY) == LeaseState("first", 1, "finished")


async def test_a_body_that_finished_its_lease_early_may_run_on(blobs: Troubled) -> None:
    async with keep(await claimed(Leases(blobs, "first", ttl_s=0.5)), every_s=60) as lease:
        await lease.finish()
        await asyncio.sleep(0.6)  # more than its life


async def test_a_lost_lease_cancels_the_body(blobs: Troubled, clock: StoreClock) -> None:
    lease = await claimed(Leases(blobs, "late", ttl_s=30))
    clock.turn(31)
    await claimed(Leases(blobs, "quick"))

    with pytest.raises(LeaseLost, match="taken over"):
        async with keep(lease, every_s=0.001):
            await asyncio.Event().wait()


async def test_a_store_that_stays_away_costs_the_lease_when_its_time_is_over(blobs: Troubled) -> None:
    lease = await claimed(Leases(blobs, "first", ttl_s=0.1))
    blobs.away = "maintenance"

    with pytest.raises(LeaseLost, match="in time"):
        async with keep(lease):
            await asyncio.Event().wait()
    assert asyncio.get_running_loop().time() >= lease.expires_at


async def test_a_store_that_comes_back_in_time_costs_nothing(blobs: Troubled) -> None:
    async with keep(await claimed(Leases(blobs, "first", ttl_s=30)), every_s=0.001) as lease:
        blobs.away = "a moment"
        await until(lambda: blobs.refused > 2)
        seen = lease.expires_at
        blobs.away = None
        await until(lambda: lease.expires_at > seen)


async def test_what_goes_wrong_in_the_body_passes_through(blobs: Troubled) -> None:
    with pytest.raises(TimeoutError, match="the body's own"):
        async with keep(await claimed(Leases(blobs, "first"))):
            raise TimeoutError("the body's own")


async def test_cancelling_from_outside_is_no_lost_lease(blobs: Troubled) -> None:
    async def work() -> None:
        async with keep(await claimed(Leases(blobs, "first"))):
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_whatever_else_stops_the_renewals_stops_the_body_and_is_said(blobs: Troubled) -> None:
    lease = await claimed(Leases(blobs, "first", ttl_s=30))
    blobs.error = Misconfigured("no right to write")

    with pytest.raises(Misconfigured):
        async with keep(lease, every_s=0.001):
            await asyncio.Event().wait()


async def test_an_owner_that_keeps_through_outages_goes_on_when_the_store_is_away_for_longer_than_the_lease(
    blobs: Troubled, clock: StoreClock
) -> None:
    lease = await claimed(Leases(blobs, "first", ttl_s=0.05))
    blobs.away = "maintenance"
    async with keep(lease, through_outages=True):
        await until(lambda: asyncio.get_running_loop().time() > lease.expires_at and blobs.refused > 2)
        clock.turn(60)
        seen = lease.expires_at
        blobs.away = None
        await until(lambda: lease.expires_at > seen)

    assert await Leases(blobs, "decider").look(KEY) == LeaseState("first", 1, "held")


async def test_an_owner_that_keeps_through_outages_learns_that_another_took_the_lease(
    blobs: Troubled, clock: StoreClock
) -> None:
    lease = await claimed(Leases(blobs, "late", ttl_s=0.05))
    elsewhere = Troubled(clock=clock, _objects=blobs._objects)  # the same store, which others can reach
    blobs.away = "a cut line"

    async def work() -> None:
        async with keep(lease, through_outages=True):
            await until(lambda: blobs.refused > 0)
            clock.turn(60)
            await claimed(Leases(elsewhere, "quick"))
            blobs.away = None
            await asyncio.Event().wait()

    with pytest.raises(LeaseLost, match="taken over"):
        await work()
    assert lease.lost


async def test_who_writes_after_the_lease_lapsed_makes_sure_of_it_first(blobs: Troubled, clock: StoreClock) -> None:
    sleeper = await claimed(Leases(blobs, "sleeper", ttl_s=0))
    await sleeper.assure()  # nobody else wanted it
    clock.turn(60)
    await claimed(Leases(blobs, "quick"))

    with pytest.raises(LeaseLost):
        await sleeper.assure()
    with pytest.raises(LeaseLost):
        await sleeper.assure()


async def test_an_owner_that_is_in_time_asks_nobody(blobs: Troubled) -> None:
    lease = await claimed(Leases(blobs, "first", ttl_s=30))
    blobs.away = "maintenance"

    await lease.assure()


async def test_failures_count_in_a_row_and_an_attempt_that_went_on_ends_the_row(
    blobs: Troubled, clock: StoreClock
) -> None:
    leases = Leases(blobs, "worker", ttl_s=30)
    for _ in range(3):
        await claimed(leases)
        clock.turn(31)
    fourth = await claimed(leases)
    assert (await leases.look(KEY)) == LeaseState("worker", 4, "held", failures=3)

    fourth.went_on()
    await fourth.renew()
    clock.turn(31)

    assert await leases.look(KEY) == LeaseState("worker", 4, "expired", failures=1)


async def test_why_an_attempt_was_given_up_stands_in_the_lease(blobs: Troubled) -> None:
    leases = Leases(blobs, "worker")
    await (await claimed(leases)).release(failed=True, reason="the disk is full")
    assert await leases.look(KEY) == LeaseState("worker", 1, "released", failures=1, reason="the disk is full")

    await (await claimed(leases)).release()
    assert (await leases.look(KEY)) == LeaseState("worker", 2, "released", failures=1, reason="the disk is full")
