"""A store or a broker that refuses a replica does not end it: keys and passwords are changed, and changed back."""

from __future__ import annotations

import pytest

from labelstream.blobs.memory import MemoryBlobs
from labelstream.errors import Misconfigured
from labelstream.events.base import MODEL_EVENTS, SERVING_EVENTS


class Door:
    """Says whether the replica's user is let in."""

    def __init__(self, *, shut: bool = False) -> None:
        self.shut = shut

    def check(self) -> None:
        if self.shut:
            raise Misconfigured("it refused us: give this user that right")


class GuardedStore(MemoryBlobs):
    """A store that may refuse to be read."""

    def __init__(self, door: Door) -> None:
        super().__init__()
        self.door = door

    async def get(self, key: str, most_bytes: int | None = None):
        self.door.check()
        return await super().get(key, most_bytes)


class GuardedReader:
    """A reader that has come to its end once it was refused, as the real one."""

    def __init__(self, reader, door: Door) -> None:
        self.reader, self.door, self.ended = reader, door, False

    async def read(self, at_most: int = 100, wait_s: float = 1.0):
        self.ended = self.ended or self.door.shut
        if self.ended:
            raise Misconfigured("it refused our reader")
        return await self.reader.read(at_most, min(wait_s, 0.02))

    async def close(self) -> None:
        await self.reader.close()


class GuardedPublisher:
    """A publisher that may be refused."""

    def __init__(self, publisher, door: Door) -> None:
        self.publisher, self.door, self.name = publisher, door, publisher.name

    async def publish(self, messages) -> None:
        self.door.check()
        await self.publisher.publish(messages)

    async def close(self) -> None:
        await self.publisher.close()


class GuardedBroker:
    """A broker as one user of it sees it."""

    def __init__(self, broker, door: Door) -> None:
        self.broker, self.door = broker, door

    async def ensure_stream(self, stream: str) -> None:
        self.door.check()
        await self.broker.ensure_stream(stream)

    async def last_offset(self, stream: str):
        self.door.check()
        return await self.broker.last_offset(stream)

    async def last_publishing_id(self, stream: str, publisher: str) -> int:
        self.door.check()
        return await self.broker.last_publishing_id(stream, publisher)

    def reader(self, stream: str, start) -> GuardedReader:
        return GuardedReader(self.broker.reader(stream, start), self.door)

    def publisher(self, stream: str, name: str) -> GuardedPublisher:
        return GuardedPublisher(self.broker.publisher(stream, name), self.door)


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def guarded(world, door):
    world.store = GuardedStore(door)
    return world


async def serving(client, image: bytes) -> str:
    response = await client.post("/v1/predict", content=image)
    assert response.status_code == 200, response.text
    return response.json()["model"]


async def test_while_the_store_refuses_us_the_old_model_serves_and_the_new_one_is_awaited(
    guarded, door, red_picture
) -> None:
    await guarded.promote("m1", 1)
    async with guarded.replica() as client:
        await guarded.heard()
        door.shut = True
        await guarded.promote("m2", 2)
        await guarded.until(lambda: "refused us" in guarded.health.report()["degraded"].get("model of default", ""))
        assert (await client.get("/readyz")).status_code == 200
        assert await serving(client, red_picture) == "m1"
        door.shut = False
        assert (await guarded.heard()).model == "m2"
        assert guarded.health.report()["degraded"] == {}


async def test_a_store_that_refuses_the_first_model_is_waited_for(guarded, door, red_picture) -> None:
    door.shut = True
    await guarded.promote("m1", 1)
    async with guarded.replica() as client:
        await guarded.until(lambda: "refused us" in str(guarded.health.report()["waiting"]))
        assert (await client.get("/readyz")).status_code == 503
        door.shut = False
        await guarded.heard()
        assert await serving(client, red_picture) == "m1"


async def test_a_newer_promotion_replaces_one_that_the_store_refuses(guarded, door, red_picture) -> None:
    door.shut = True
    await guarded.promote("m1", 1)
    async with guarded.replica(retry_most_s=3600) as client:
        await guarded.until(lambda: "refused us" in str(guarded.health.report()["waiting"]))
        door.shut = False
        await guarded.promote("m2", 2)
        assert (await guarded.heard()).model == "m2"
        assert await serving(client, red_picture) == "m2"


async def test_a_broker_that_refuses_our_reader_is_read_on_where_it_was_left(world, door, red_picture) -> None:
    await world.promote("m1", 1)
    async with world.replica(GuardedBroker(world.broker, door)) as client:
        await world.heard()
        door.shut = True
        await world.until(lambda: MODEL_EVENTS in world.health.report()["degraded"])
        assert (await client.get("/readyz")).status_code == 200
        assert await serving(client, red_picture) == "m1"
        await world.promote("m2", 2)
        door.shut = False
        assert (await world.heard()).model == "m2"
        assert await serving(client, red_picture) == "m2"
        await world.until(lambda: world.health.report()["degraded"] == {})


async def test_what_a_broker_refuses_to_hear_of_us_is_said_when_it_lets_us_in_again(world, door) -> None:
    hears = GuardedBroker(world.broker, Door())
    hears.publisher = lambda stream, name: GuardedPublisher(world.broker.publisher(stream, name), door)
    await world.promote("m1", 1)
    async with world.replica(hears):
        await world.heard()
        door.shut = True
        await world.promote("m2", 2)
        await world.until(lambda: SERVING_EVENTS in world.health.report()["degraded"])
        await world.promote("m3", 3)
        door.shut = False
        assert [(await world.heard()).model, (await world.heard()).model] == ["m2", "m3"]
        await world.until(lambda: world.health.report()["degraded"] == {})


async def test_a_restart_while_the_broker_refuses_us_comes_back_serving(world, red_picture) -> None:
    await world.promote("m1", 1)
    async with world.replica():
        await world.heard()
    async with world.replica(GuardedBroker(world.broker, Door(shut=True))) as client:
        await world.until(lambda: {MODEL_EVENTS, SERVING_EVENTS} <= world.health.report()["degraded"].keys())
        assert (await client.get("/readyz")).status_code == 200
        assert await serving(client, red_picture) == "m1"


async def test_trusted_keys_that_are_away_are_waited_for(world, red_picture) -> None:
    async with world.replica() as client:
        away = world.key.public.rename(world.directory / "away")
        await world.promote("m1", 1)
        await world.until(lambda: "signer.pub" in world.health.report()["degraded"].get(MODEL_EVENTS, ""))
        away.rename(world.key.public)
        await world.heard()
        assert await serving(client, red_picture) == "m1"


async def test_a_replica_whose_keys_can_not_be_read_does_not_start(world) -> None:
    with pytest.raises(Misconfigured, match=r"DEVICE_IDENTITY.*is not an age private key"):
        async with world.replica(device_identity="AGE-SECRET-KEY-1NOTHING"):
            pass
    world.key.public.unlink()
    with pytest.raises(Misconfigured, match=r"signer\.pub can't be read"):
        async with world.replica():
            pass
