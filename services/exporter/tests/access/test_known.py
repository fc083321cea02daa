"""Who asks is known by a token or an address: cheaply, and a revocation counts at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from exporter.access.known import KnownDevices
from labelstream import keys
from labelstream.access import Device, Ended
from labelstream.blobs.memory import MemoryBlobs
from labelstream.blobs.ports import Blob, BlobInfo
from labelstream.errors import Unavailable
from labelstream.service.health import Health
from labelstream.values import sha256_hex

ENDED = Ended(at_ms=1, by="eve", why="lost")


@dataclass
class Counting(MemoryBlobs):
    """A store that counts what it is asked."""

    asked: Counter[str] = field(default_factory=Counter)

    async def get(self, key: str, most_bytes: int | None = None) -> Blob:
        self.asked["get"] += 1
        return await super().get(key, most_bytes)

    def list(self, prefix: str) -> AsyncIterator[BlobInfo]:
        self.asked["list"] += 1
        return super().list(prefix)


@pytest.fixture
def store() -> Counting:
    return Counting()


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def clock() -> list[float]:
    return [0.0]


@pytest.fixture
def known(store: Counting, health: Health, clock: list[float]) -> KnownDevices:
    known = KnownDevices(store, health, max_age_s=2)
    known.clock = lambda: clock[0]
    return known


def token(number: int) -> str:
    return sha256_hex(str(number).encode())


async def put(store: MemoryBlobs, number: int, **more: object) -> None:
    told = {"name": f"d{number}", "recipient": "age1", "token_sha256": token(number), **more}
    await store.put(keys.device(f"d{number}"), Device.model_validate(told).model_dump_json().encode())


async def test_500_devices_cost_one_listing_and_each_is_read_once(
    store: Counting, known: KnownDevices, clock: list[float]
) -> None:
    for number in range(500):
        await put(store, number)
    for number in range(500):
        found = await known.by_token(token(number))
        assert found is not None
        assert found.name == f"d{number}"
    assert store.asked == {"list": 1, "get": 500}
    clock[0] = 2
    await put(store, 7, revoked=ENDED)
    found = await known.by_token(token(7))
    assert found is not None
    assert found.revoked == ENDED
    assert store.asked == {"list": 2, "get": 501}


async def test_an_unknown_token_belongs_to_nobody(store: Counting, known: KnownDevices) -> None:
    await put(store, 1)
    assert await known.by_token(token(2)) is None


async def test_a_device_that_is_added_replaced_or_removed_is_so_once_the_age_has_passed(
    store: Counting, known: KnownDevices, clock: list[float]
) -> None:
    await put(store, 1)
    assert await known.by_token(token(1)) is not None
    await put(store, 1, token_sha256=token(2))
    await put(store, 3)
    assert await known.by_token(token(3)) is None
    clock[0] = 2
    assert await known.by_token(token(1)) is None
    assert await known.by_token(token(2)) is not None
    assert await known.by_name("d3") is not None
    await store.delete(keys.device("d3"))
    clock[0] = 4
    assert await known.by_token(token(3)) is None


async def test_a_record_that_can_not_be_read_stops_nobody_else_and_is_shown(
    store: Counting, known: KnownDevices, health: Health, clock: list[float]
) -> None:
    await put(store, 1)
    await store.put(keys.device("d2"), b"\xff")
    await store.put(keys.device("d3"), (await store.get(keys.device("d1"))).data)
    assert [each.name for each in await known.all()] == ["d1"]
    assert set(health.report()["degraded"]) == {"devices/d2.json", "devices/d3.json"}
    await put(store, 2)
    await store.delete(keys.device("d3"))
    clock[0] = 2
    assert len(await known.all()) == 2
    assert health.report()["degraded"] == {}


async def test_while_the_store_is_away_nobody_is_taken_for_a_stranger(
    store: Counting, known: KnownDevices, clock: list[float]
) -> None:
    await put(store, 1)
    await known.by_token(token(1))
    clock[0] = 2
    store.away = "it went away"
    with pytest.raises(Unavailable):
        await known.by_token(token(1))
