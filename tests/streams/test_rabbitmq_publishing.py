"""Publishing to the real broker: nothing counts as stored without its confirm."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from labelstream.errors import Misconfigured
from labelstream.service.health import Health
from labelstream.streams.message import Message
from labelstream.streams.ports import Retention
from labelstream.streams.rabbitmq import RabbitBroker

pytestmark = pytest.mark.broker


def numbered(first: int, last: int, size: int = 0) -> list[tuple[int, Message]]:
    return [(number, Message(b"%d" % number + bytes(size))) for number in range(first, last + 1)]


def bodies(first: int, last: int) -> list[bytes]:
    return [b"%d" % number for number in range(first, last + 1)]


async def test_nothing_counts_as_sent_while_its_confirm_is_missing(
    broker: RabbitBroker, by_proxy: RabbitBroker, proxy: Any, stream: str, reading: Any
) -> None:
    await broker.ensure_stream(stream)
    publisher, reader = by_proxy.publisher(stream, "writer"), broker.reader(stream, "first")
    await publisher.publish(numbered(1, 1))
    await reading.some(reader, 1)  # it is attached
    before = proxy.connections

    proxy.freeze(answers_only=True)  # messages reach the broker, confirms do not reach us
    publishing = asyncio.create_task(publisher.publish(numbered(2, 51)))
    await reading.some(reader, 50)

    assert not publishing.done()  # stored, but nobody told us
    await asyncio.wait_for(publishing, 60)
    assert proxy.connections > before
    assert await reading.all(broker, stream) == bodies(1, 51)  # sent twice, stored once


async def test_connections_lost_while_publishing_lose_and_repeat_nothing(
    broker: RabbitBroker, by_proxy: RabbitBroker, proxy: Any, stream: str, reading: Any
) -> None:
    await broker.ensure_stream(stream)
    publisher = by_proxy.publisher(stream, "writer")
    await publisher.publish(numbered(1, 1))

    for first in (2, 402, 802):
        proxy.freeze()
        publishing = asyncio.create_task(publisher.publish(numbered(first, first + 399)))
        await reading.until(lambda: proxy.held > 1000)  # on its way, and now it is lost
        proxy.cut()
        await asyncio.wait_for(publishing, 60)

    assert await reading.all(broker, stream) == bodies(1, 1201)


async def test_a_publisher_replaces_a_connection_that_is_only_half_open(
    broker: RabbitBroker, by_proxy: RabbitBroker, proxy: Any, stream: str, reading: Any
) -> None:
    await broker.ensure_stream(stream)
    publisher = by_proxy.publisher(stream, "writer")
    await publisher.publish(numbered(1, 1))

    proxy.freeze()
    await asyncio.wait_for(publisher.publish(numbered(2, 40, size=100_000)), 60)

    assert [body.rstrip(b"\0") for body in await reading.all(broker, stream)] == bodies(1, 40)


async def test_a_publish_that_was_cancelled_may_be_stored_and_is_stored_once_when_repeated(
    broker: RabbitBroker, stream: str, reading: Any
) -> None:
    await broker.ensure_stream(stream)
    publisher = broker.publisher(stream, "writer")
    await publisher.publish(numbered(1, 1))

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await publisher.publish(numbered(2, 300))
    await publisher.publish(numbered(2, 300))

    assert await reading.all(broker, stream) == bodies(1, 300)


async def test_a_broker_that_was_killed_and_came_back_is_found_by_both_sides(
    fresh_rabbitmq: Any, stream: str, reading: Any
) -> None:
    health = Health()
    broker = RabbitBroker(fresh_rabbitmq.settings, health, "survivor")
    await broker.ensure_stream(stream)
    publisher, reader = broker.publisher(stream, "writer"), broker.reader(stream, "first")
    idle = broker.reader(stream, "next")
    while not idle.attached:
        assert await idle.read(wait_s=1) == []

    async def publish() -> None:
        for first in range(1, 3001, 20):
            await publisher.publish(numbered(first, first + 19))
            await asyncio.sleep(0.002)

    publishing = asyncio.create_task(publish())
    found = await reading.bodies(reader, 500)
    fresh_rabbitmq.kill()
    await reading.until(lambda: not health.is_ready)
    assert "broker" in health.report()["waiting"]
    await asyncio.to_thread(fresh_rabbitmq.restart)
    await asyncio.wait_for(publishing, 60)
    found += await reading.bodies(reader, 3000 - len(found))

    assert found == bodies(1, 3000)
    assert await reading.all(broker, stream) == bodies(1, 3000)
    assert await reading.bodies(idle, 3000) == bodies(1, 3000)
    assert await broker.last_publishing_id(stream, "writer") == 3000
    assert health.is_ready
    await broker.close()


async def test_messages_of_every_size_go_through(broker: RabbitBroker, stream: str, reading: Any) -> None:
    await broker.ensure_stream(stream)
    sizes = [1, 880_000, 900_000, 3_000_000, 10, 5_000_000]

    await broker.publisher(stream, "writer").publish([(n + 1, Message(b"x" * size)) for n, size in enumerate(sizes)])

    assert [len(body) for body in await reading.all(broker, stream)] == sizes


async def test_two_tasks_may_share_a_publisher(broker: RabbitBroker, stream: str, reading: Any) -> None:
    await broker.ensure_stream(stream)
    publisher = broker.publisher(stream, "writer")

    await asyncio.gather(*(publisher.publish(numbered(first, first + 199)) for first in range(1, 1001, 200)))

    assert await reading.all(broker, stream) == bodies(1, 1000)


async def test_another_retention_than_the_stream_has_is_told(broker: RabbitBroker, stream: str) -> None:
    limited = Retention(max_bytes=50_000_000, max_age_s=86_400)
    await broker.ensure_stream(stream, limited)
    await broker.ensure_stream(stream, limited)

    with pytest.raises(Misconfigured, match=stream):
        await broker.ensure_stream(stream, Retention(max_bytes=1_000_000))


async def test_a_size_limit_drops_the_oldest_messages(broker: RabbitBroker, stream: str, reading: Any) -> None:
    await broker.ensure_stream(stream, Retention(max_bytes=4_000_000))
    await broker.publisher(stream, "writer").publish(numbered(1, 200, size=100_000))
    last = await broker.last_offset(stream)
    assert last is not None

    async with asyncio.timeout(60):
        first = 0
        while first == 0:  # the broker takes its time
            await asyncio.sleep(0.1)
            [oldest] = await reading.some(broker.reader(stream, "first"), 1)
            first = oldest.offset

    assert 0 < first < last
