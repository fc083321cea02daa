"""Grants are made for who asks, and only for who may have the model."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from labelstream import keys
from labelstream.access import Device
from labelstream.blobs.memory import MemoryBlobs
from labelstream.blobs.ports import Blob
from labelstream.errors import Rejected
from labelstream.events.access import GrantMade
from labelstream.model_requests import AddDevice, RevokeDevice
from labelstream.protection.grants import open_grant
from labelstream.protection.sealing import new_identity

from .world import PROJECT, WEIGHTS, World, device, everything

IDENTITY = new_identity()[0]
KIOSK = device("kiosk", IDENTITY)
DAY_MS = 86_400_000


async def enrol(world: World, one: Device = KIOSK) -> None:
    answer = await world.ask(AddDevice(device=one))
    assert answer.outcome == "done"


async def test_a_device_added_later_opens_the_model_after_only_a_grant_was_made(world: World) -> None:
    await world.publish("m1")
    before = everything(world.models), everything(world.resources)
    await enrol(world)
    with pytest.raises(Rejected, match="no_grant"):
        await world.open("m1", IDENTITY, await world.granted("m1", "kiosk"))
    await world.ask_for_grant("m1", "kiosk")
    opened = await world.open("m1", IDENTITY, await world.granted("m1", "kiosk"))
    assert opened.artifacts == {"onnx-fp32": WEIGHTS + b"m1"}
    assert (everything(world.models), everything(world.resources, but=("devices/", "/grants/"))) == before


async def test_a_revoked_device_can_not_open_the_next_model(world: World) -> None:
    await world.publish("m1")
    await enrol(world)
    await world.ask_for_grant("m1", "kiosk")
    old_grant = await world.granted("m1", "kiosk")
    await world.ask(RevokeDevice(name="kiosk"), why="lost")
    await world.publish("m2")
    with pytest.raises(Rejected, match=r"device\.revoked"):
        await world.granting.grant(PROJECT, "m2", "kiosk")
    assert await world.granted("m2", "kiosk") is None
    assert old_grant is not None
    assert (await world.open("m1", IDENTITY, old_grant)).artifacts  # what it fetched, it keeps
    with pytest.raises(Rejected):
        await world.open("m2", IDENTITY, old_grant)


async def test_a_grant_opens_with_the_key_of_its_device_alone(world: World) -> None:
    await world.publish("m1")
    await enrol(world)
    await world.ask_for_grant("m1", "kiosk")
    with pytest.raises(Rejected, match=r"grant\.not_for_us"):
        await world.open("m1", new_identity()[0], await world.granted("m1", "kiosk"))


async def test_a_grant_that_lasts_is_left_alone(world: World) -> None:
    await world.publish("m1")
    await enrol(world)
    await world.ask_for_grant("m1", "kiosk")
    first = await world.granted("m1", "kiosk")
    await world.ask_for_grant("m1", "kiosk")
    assert await world.granted("m1", "kiosk") == first
    assert world.events(GrantMade) == [GrantMade(device="kiosk", model="m1")]


@pytest.mark.parametrize(("days_later", "is_new"), [(1, False), (6.9, True), (8, True)])
async def test_a_grant_that_has_ended_or_is_about_to_is_made_anew(
    world: World, days_later: float, is_new: bool
) -> None:
    await world.publish("m1")
    await enrol(world, device("kiosk", IDENTITY, grant_days=7))
    await world.ask_for_grant("m1", "kiosk")
    first = await world.granted("m1", "kiosk")
    world.resources.clock = lambda: datetime.now(UTC) + timedelta(days=days_later)
    await world.ask_for_grant("m1", "kiosk")
    assert (await world.granted("m1", "kiosk") != first) == is_new


async def test_a_grant_with_an_end_opens_nothing_after_it(world: World) -> None:
    await world.publish("m1")
    await enrol(world, device("kiosk", IDENTITY, grant_days=7))
    await world.ask_for_grant("m1", "kiosk")
    grant = await world.granted("m1", "kiosk")
    assert grant is not None
    (made,) = world.events(GrantMade)
    ends_ms = open_grant(grant, IDENTITY, now_ms=0).expires_ms
    assert ends_ms == made.expires_ms
    assert ends_ms is not None
    assert (await world.open("m1", IDENTITY, grant, now_ms=ends_ms - 1)).artifacts
    with pytest.raises(Rejected, match=r"grant\.expired"):
        await world.open("m1", IDENTITY, grant, now_ms=ends_ms)


@pytest.mark.parametrize(
    ("model", "name", "rule"),
    [
        ("m1", "door", r"device\.unknown"),
        ("m2", "kiosk", r"model\.unknown"),
        ("other", "kiosk", r"model\.unknown"),
        ("ghost", "kiosk", r"model\.withdrawn"),
        ("m1", "elsewhere", r"device\.project_not_allowed"),
        ("m1", "broken", r"device\.unreadable"),
    ],
)
async def test_who_may_not_have_a_model_is_refused(world: World, model: str, name: str, rule: str) -> None:
    await world.publish("m1")
    await world.publish("other", project="harbour")
    await world.publish("ghost")
    await world.withdraw("ghost")
    await enrol(world)
    await enrol(world, device("elsewhere", new_identity()[0], projects=("harbour",)))
    await world.resources.put(keys.device("broken"), b"{")
    with pytest.raises(Rejected, match=rule):
        await world.granting.grant(PROJECT, model, name)
    assert not [key for key in everything(world.resources) if "/grants/" in key]
    assert not world.events(GrantMade)


async def test_withdrawing_a_model_takes_its_grants_back_and_no_others(world: World) -> None:
    await enrol(world)
    for model in ("m1", "m2"):
        await world.publish(model)
        await world.ask_for_grant(model, "kiosk")
    await world.withdraw("m1")
    assert await world.granted("m1", "kiosk") is None
    assert await world.granted("m2", "kiosk") is not None


class Slow(MemoryBlobs):
    """A store that lets something happen while a model's key is on its way."""

    async def get(self, key: str, most_bytes: int | None = None) -> Blob:
        blob = await super().get(key, most_bytes)
        if "/model-keys/" in key:
            self.asked.set()
            await self.go_on.wait()
        return blob

    def __post_init__(self) -> None:
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()


async def slowly(world: World) -> Slow:
    slow = Slow()
    slow._objects = world.resources._objects
    slow.__post_init__()
    world.resources = slow
    world.start()
    return slow


async def test_a_model_that_is_withdrawn_while_a_grant_is_made_is_granted_to_nobody(world: World) -> None:
    await world.publish("m1")
    await enrol(world)
    slow = await slowly(world)
    granting = asyncio.create_task(world.granting.grant(PROJECT, "m1", "kiosk"))
    await slow.asked.wait()
    await world.withdraw("m1")
    slow.go_on.set()
    with pytest.raises(Rejected, match=r"model\.withdrawn"):
        await granting
    assert await world.granted("m1", "kiosk") is None


async def test_a_device_that_is_revoked_while_a_grant_is_made_has_none_afterwards(world: World) -> None:
    await world.publish("m1")
    await enrol(world)
    slow = await slowly(world)
    granting = asyncio.create_task(world.granting.grant(PROJECT, "m1", "kiosk"))
    await slow.asked.wait()
    revoking = asyncio.create_task(world.ask(RevokeDevice(name="kiosk"), why="lost"))
    slow.go_on.set()
    await granting
    assert (await revoking).outcome == "done"
    assert await world.granted("m1", "kiosk") is None


async def test_a_model_whose_key_is_lost_is_granted_to_nobody_and_somebody_should_look(world: World) -> None:
    await world.publish("m1")
    await enrol(world)
    where = keys.model_key(PROJECT, "m1")
    key = (await world.resources.get(where)).data
    await world.resources.delete(where)
    with pytest.raises(Rejected, match=r"grant\.no_model_key"):
        await world.granting.grant(PROJECT, "m1", "kiosk")
    assert "grant.no_model_key" in world.health.report()["degraded"]["grants of default"]
    await world.resources.put(where, key)
    await world.granting.grant(PROJECT, "m1", "kiosk")
    assert world.health.report()["degraded"] == {}
