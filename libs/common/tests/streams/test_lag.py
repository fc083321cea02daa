"""How far a reader is behind: in messages at most, in seconds at least as long as is known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from prometheus_client import REGISTRY

from labelstream.events.batch import BatchAugmented, Range
from labelstream.events.envelope import Envelope
from labelstream.service.health import Health
from labelstream.streams.following import follow
from labelstream.streams.lag import Behind, reading
from labelstream.streams.memory import MemoryBroker
from labelstream.streams.message import Delivery, Message
from labelstream.values import FileRef, sha256_hex

STREAM = "batch-events"


@dataclass
class Clock:
    """A time that stands still until it is told to go on."""

    time_s: float = 1000.0

    def __call__(self) -> float:
        return self.time_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def behind(clock: Clock) -> Behind:
    return Behind(STREAM, "reader", clock)


def delivery(offset: int, stored_s: float) -> Delivery:
    return Delivery(STREAM, offset, b"", round(stored_s * 1000))


def test_who_has_handled_everything_is_not_behind(behind: Behind, clock: Clock) -> None:
    assert (behind.messages, behind.seconds) == (0, 0)
    behind.begin(5)
    behind.ends_at(4)
    clock.time_s += 60
    assert (behind.messages, behind.seconds) == (0, 0)


def test_what_was_read_and_not_handled_is_as_old_as_the_broker_says(behind: Behind, clock: Clock) -> None:
    behind.begin("first")
    behind.read([delivery(0, 900.0), delivery(1, 900.0), delivery(2, 950.0)])
    assert (behind.messages, behind.seconds) == (3, 100.0)
    behind.handled(0)
    assert (behind.messages, behind.seconds) == (2, 100.0)
    behind.handled(1)
    assert (behind.messages, behind.seconds) == (1, 50.0)
    behind.handled(2)
    assert (behind.messages, behind.seconds) == (0, 0)


def test_what_was_not_read_yet_is_as_old_as_it_is_known(behind: Behind, clock: Clock) -> None:
    behind.begin(0)
    behind.ends_at(9)
    clock.time_s += 10
    behind.ends_at(19)
    clock.time_s += 10
    assert (behind.messages, behind.seconds) == (20, 20.0)
    behind.handled(9)  # what remains was first known of ten seconds ago
    assert (behind.messages, behind.seconds) == (10, 10.0)


def test_seconds_go_on_rising_while_nobody_says_where_the_stream_ends(behind: Behind, clock: Clock) -> None:
    behind.begin(0)
    behind.ends_at(0)
    for expected in (30.0, 60.0, 90.0):
        clock.time_s += 30
        assert (behind.messages, behind.seconds) == (1, expected)


def test_who_keeps_up_with_a_busy_stream_is_only_as_late_as_what_it_has_not_handled(
    behind: Behind, clock: Clock
) -> None:
    behind.begin(0)
    for offset in range(0, 1000, 10):
        clock.time_s += 10
        behind.ends_at(offset + 9)
        behind.handled(offset + 8)
        assert (behind.messages, behind.seconds) == (1, 0)


def test_a_stream_that_is_shorter_than_what_was_handled_is_no_negative_lag(behind: Behind) -> None:
    behind.begin(100)
    behind.ends_at(3)
    assert (behind.messages, behind.seconds) == (0, 0)
    behind.ends_at(None)
    assert behind.messages == 0


def test_an_offset_that_no_message_has_counts_but_is_no_age(behind: Behind, clock: Clock) -> None:
    behind.begin("first")
    behind.read([delivery(0, 900.0), delivery(8, 990.0)])  # between them the broker wrote something of its own
    behind.handled(0)
    assert (behind.messages, behind.seconds) == (8, 10.0)


def test_a_clock_that_is_behind_the_brokers_makes_no_negative_age(behind: Behind) -> None:
    behind.begin("first")
    behind.read([delivery(0, 2000.0)])
    assert (behind.messages, behind.seconds) == (1, 0)


def test_beginning_anew_forgets_what_was_read_from_another_place(behind: Behind) -> None:
    behind.begin("first")
    behind.read([delivery(0, 900.0), delivery(1, 900.0)])
    behind.begin(2)
    assert (behind.messages, behind.seconds) == (0, 0)
    behind.begin(1)
    assert behind.messages == 1


# ---- while somebody reads


def shown(name: str, reader: str = "test") -> float | None:
    return REGISTRY.get_sample_value(f"labelstream_lag_{name}", {"stream": STREAM, "reader": reader})


def event(number: int) -> Message:
    said = BatchAugmented(
        input=Range(stream="annotation-events", first=number, last=number),
        recipe=sha256_hex(b"recipe"),
        archive=FileRef.of("archive", b"archive"),
        members=(),
    )
    return Envelope.of(said, source="augmenter", answers=str(number), project="default").to_message()


async def publish(broker: MemoryBroker, *numbers: int) -> None:
    await broker.publisher(STREAM, "augmenter").publish([(number, event(number)) for number in numbers])


@pytest.fixture
async def broker() -> MemoryBroker:
    broker = MemoryBroker()
    await broker.ensure_stream(STREAM)
    return broker


@asynccontextmanager
async def following(broker: MemoryBroker, fold) -> AsyncIterator[None]:
    task = asyncio.create_task(follow(broker, STREAM, "first", fold, Health(), reader="test"))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until(broker: MemoryBroker, condition) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await broker.changed(0.01)


async def test_who_follows_a_stream_shows_its_lag_and_shows_none_when_it_ends(broker: MemoryBroker) -> None:
    await publish(broker, *range(1, 6))
    heard: list[int] = []
    async with following(broker, lambda offset, _: heard.append(offset)):
        await until(broker, lambda: len(heard) == 5)
        assert (shown("messages"), shown("seconds")) == (0, 0)
    assert (shown("messages"), shown("seconds")) == (None, None)


async def test_who_does_not_say_who_it_is_shows_nothing(broker: MemoryBroker) -> None:
    heard: list[int] = []
    await publish(broker, 1)
    task = asyncio.create_task(follow(broker, STREAM, "first", lambda offset, _: heard.append(offset), Health()))
    await until(broker, lambda: heard)
    task.cancel()
    await asyncio.wait([task])
    assert shown("messages", reader="") is None


async def test_what_lies_in_the_stream_shows_before_anything_is_read_and_while_the_broker_is_away(
    broker: MemoryBroker,
) -> None:
    await publish(broker, 1, 2, 3)
    async with reading(broker, STREAM, "test", every_s=0.01) as behind:
        behind.begin("first")
        await until(broker, lambda: shown("messages") == 3)
        broker.away = True
        before = shown("seconds")
        await until(broker, lambda: (shown("seconds") or 0) > (before or 0))
        assert shown("messages") == 3
        broker.away = False
        await publish(broker, 4)
        await until(broker, lambda: shown("messages") == 4)


class Broken(MemoryBroker):
    async def last_offset(self, stream: str) -> int | None:
        raise ZeroDivisionError(stream)


async def test_a_fault_of_ours_ends_the_figure_and_not_the_reader() -> None:
    broker = Broken()
    await broker.ensure_stream(STREAM)
    async with reading(broker, STREAM, "test") as behind:
        await until(broker, lambda: shown("messages") is None)
        behind.handled(3)
