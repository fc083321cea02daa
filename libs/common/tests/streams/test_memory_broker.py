"""What the double can be told, beyond what the contract suite holds it to."""

from __future__ import annotations

import asyncio

import pytest

from labelstream.errors import Unavailable
from labelstream.streams.memory import MemoryBroker
from labelstream.streams.message import Message


def numbered(first: int, last: int) -> list[tuple[int, Message]]:
    return [(number, Message(b"%d" % number)) for number in range(first, last + 1)]


async def test_while_the_broker_is_away_publishing_waits_reading_is_empty_and_questions_raise() -> None:
    broker = MemoryBroker()
    await broker.ensure_stream("s")
    await broker.publisher("s", "writer").publish(numbered(1, 1))
    reader = broker.reader("s", "first")

    broker.away = True
    publishing = asyncio.create_task(broker.publisher("s", "writer").publish(numbered(2, 2)))
    assert await reader.read(wait_s=0) == []
    for question in (broker.last_offset("s"), broker.last_publishing_id("s", "writer"), broker.ensure_stream("t")):
        with pytest.raises(Unavailable):
            await question
    assert not publishing.done()

    broker.away = False
    await publishing
    assert len(await reader.read()) == 2


async def test_offsets_have_gaps() -> None:
    broker = MemoryBroker()
    await broker.ensure_stream("s")
    await broker.publisher("s", "writer").publish(numbered(1, 30))

    offsets = [delivery.offset for delivery in await broker.reader("s", "first").read()]

    assert offsets == sorted(set(offsets))
    assert offsets[-1] > 29


async def test_a_stream_may_be_deleted_and_begins_again_at_its_first_offset() -> None:
    broker = MemoryBroker()
    await broker.ensure_stream("s")
    await broker.publisher("s", "writer").publish(numbered(1, 3))

    broker.delete("s")
    with pytest.raises(Unavailable):
        await broker.last_offset("s")
    await broker.ensure_stream("s")

    assert await broker.last_publishing_id("s", "writer") == 0
    assert await broker.last_offset("s") is None
