"""How leases stand on every object store, the double and the real one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from labelstream.blobs.leases import LeaseLost, Leases, LeaseState
from labelstream.blobs.ports import Blobs


async def test_of_eight_claimers_one_holds_the_lease(blobs: Blobs, prefix: str) -> None:
    claims = await asyncio.gather(*(Leases(blobs, f"worker-{n}").claim(prefix + "lease") for n in range(8)))

    held = [n for n, lease in enumerate(claims) if lease is not None]
    assert len(held) == 1
    assert await Leases(blobs, "decider").look(prefix + "lease") == LeaseState(f"worker-{held[0]}", 1, "held")


async def test_a_released_lease_goes_to_one_of_eight_under_the_next_attempt(blobs: Blobs, prefix: str) -> None:
    first = await Leases(blobs, "first").claim(prefix + "lease")
    assert first is not None
    await first.release()

    claims = await asyncio.gather(*(Leases(blobs, f"worker-{n}").claim(prefix + "lease") for n in range(8)))

    assert [lease.attempt for lease in claims if lease is not None] == [2]


async def test_a_finished_lease_is_never_claimed_again(blobs: Blobs, prefix: str) -> None:
    leases = Leases(blobs, "worker", ttl_s=0)
    lease = await leases.claim(prefix + "lease")
    assert lease is not None
    await lease.finish()

    assert await leases.claim(prefix + "lease") is None
    assert await leases.look(prefix + "lease") == LeaseState("worker", 1, "finished")


async def test_an_expired_lease_is_taken_over_and_its_late_owner_is_fenced(blobs: Blobs, prefix: str) -> None:
    late = await Leases(blobs, "late", ttl_s=0).claim(prefix + "lease")
    assert late is not None
    decider, quick = Leases(blobs, "decider"), Leases(blobs, "quick")
    await eventually(decider.look, prefix + "lease", LeaseState("late", 1, "expired", failures=1))

    second = await quick.claim(prefix + "lease")

    assert second is not None
    assert second.attempt == 2
    for write in (late.renew, late.finish, late.release):
        with pytest.raises(LeaseLost):
            await write()
    await second.renew()
    assert await decider.look(prefix + "lease") == LeaseState("quick", 2, "held", failures=1)


async def test_nobody_claimed_a_lease_that_is_not_there(blobs: Blobs, prefix: str) -> None:
    assert await Leases(blobs, "decider").look(prefix + "lease") is None


async def eventually(look: Callable[[str], Awaitable[object]], key: str, expected: object) -> None:
    """Look until it is as expected; the store's clock decides when, and it is not ours to turn."""
    while True:
        if await look(key) == expected:
            return
        await asyncio.sleep(0.1)
