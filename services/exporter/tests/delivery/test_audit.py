"""The audit log: confirmed before anything leaves, and not to be flooded."""

from __future__ import annotations

import asyncio

import pytest

from exporter.delivery.audit import Audit
from exporter.delivery.problems import NOBODY, Who
from exporter.delivery.refusals import MOST_KINDS, Refusals
from labelstream import keys
from labelstream.errors import AnotherWriter, Unavailable
from labelstream.events.access import AccessRefused, ResourceFetched
from labelstream.service.health import Health
from labelstream.streams.memory import MemoryBroker

from .world import TOKEN, bearing, device, stopped, until

ME = bearing(TOKEN)
KEY = keys.grant("default", "m2", "kiosk")
URL = "/v1/projects/default/models/m2/grant"


def fetched(resource: str) -> ResourceFetched:
    return ResourceFetched(kind="device", name="kiosk", resource=resource, sha256="0" * 64, size_bytes=1)


async def opened(broker: MemoryBroker, replica: str = "one", every_s: float = 60) -> tuple[Audit, asyncio.Task[None]]:
    health = Health()
    audit = Audit(broker, replica, health, wait_s=5, every_s=every_s)
    running = asyncio.create_task(audit.run())
    await until(lambda: health.is_ready)
    return audit, running


async def test_nothing_leaves_while_the_audit_log_is_away(world, client):
    await world.resources.put(KEY, b"sealed to kiosk")
    world.broker.away = True
    answer = await client.get(URL, headers=ME)
    assert (answer.status_code, answer.json()["title"], answer.headers["Retry-After"]) == (503, "unavailable", "5")
    assert b"sealed" not in answer.content
    world.broker.away = False
    await until(lambda: world.health.is_ready)
    assert (await client.get(URL, headers=ME)).status_code == 200
    # The first is in the log as well, though its answer never left: it had been sent.
    assert [entry.resource for entry in world.audited()] == ["grant of m2", "grant of m2"]


async def test_many_at_once_are_each_confirmed(world, start):
    await world.add(device())
    await world.export("m1", "m2")
    client = await start(audit_wait_s=60)
    await world.resources.put(KEY, b"sealed to kiosk")
    answers = await asyncio.gather(*(client.get(URL, headers=ME) for _ in range(150)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(world.audited()) == 150


async def test_a_restarted_replica_goes_on_where_it_was(world):
    for round_ in range(3):
        audit, running = await opened(world.broker)
        for number in range(2):
            await audit.say(fetched(f"{round_}.{number}"), "default")
        await stopped(running)
    assert [entry.resource for entry in world.audited()] == ["0.0", "0.1", "1.0", "1.1", "2.0", "2.1"]


async def test_two_replicas_write_one_log(world):
    one, running_one = await opened(world.broker, "one")
    two, running_two = await opened(world.broker, "two")
    for number in range(3):
        await one.say(fetched(f"one {number}"), "default")
        await two.say(fetched(f"two {number}"), "default")
    await stopped(running_one)
    await stopped(running_two)
    assert len(world.audited()) == 6


async def test_a_second_replica_of_the_same_name_is_found_out(world):
    one, _ = await opened(world.broker)
    two, running = await opened(world.broker)
    await one.say(fetched("of the first"), "default")
    with pytest.raises(Unavailable):
        async with asyncio.timeout(5):
            await two.say(fetched("of the second"), "default")
    with pytest.raises(AnotherWriter):
        await running


async def test_refusals_are_counted_and_said_at_intervals(world, start):
    client = await start(refusals_every_s=1)
    for _ in range(20):
        await client.get("/v1/projects/default/models", headers=bearing("wrong"))
    entries = await world.until_audited(1)
    await until(lambda: sum(entry.times for entry in world.audited()) == 20)
    assert len(world.audited()) <= 10
    assert {entry.rule for entry in entries} == {"token-unknown"}


async def test_what_was_counted_is_said_before_the_end(world):
    audit, running = await opened(world.broker)
    audit.refused(Who("user", "ada"), "password-wrong", "", "hash", "default")
    audit.refused(Who("user", "ada"), "password-wrong", "", "hash", "default")
    await stopped(running)
    (entry,) = world.audited()
    assert isinstance(entry, AccessRefused)
    assert (entry.name, entry.rule, entry.times) == ("ada", "password-wrong", 2)


def test_whoever_floods_the_counts_hides_nobodys_name():
    refusals = Refusals()
    for number in range(2 * MOST_KINDS):
        refusals.count(NOBODY, "token-unknown", "", f"address {number}", "default")
    for number in range(3):
        refusals.count(Who("user", "ada"), "password-wrong", "", f"address {number}", "default")
    (ada,) = [event for event, _ in refusals.taken() if event.name == "ada"]
    assert (ada.rule, ada.times) == ("password-wrong", 3)


def test_what_can_be_told_apart_has_an_end():
    refusals = Refusals()
    for number in range(3 * MOST_KINDS):
        refusals.count(NOBODY, "token-unknown", "", f"address {number}", "default")
    taken = [event for event, _ in refusals.taken()]
    assert len(taken) == MOST_KINDS + 1
    assert sum(event.times for event in taken) == 3 * MOST_KINDS
    assert refusals.taken() == []
