"""Reading from the real broker: what goes wrong there, and what a reader makes of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import SecretStr
from rstream import AMQPMessage, CompressionType

from labelstream.errors import Misconfigured, Rejected
from labelstream.service.health import Health
from labelstream.streams.amqp import decode, encode
from labelstream.streams.message import Message
from labelstream.streams.rabbitmq import RabbitBroker

pytestmark = pytest.mark.broker


def numbered(first: int, last: int) -> list[tuple[int, Message]]:
    return [(number, Message(b"%d" % number)) for number in range(first, last + 1)]


def bodies(first: int, last: int) -> list[bytes]:
    return [b"%d" % number for number in range(first, last + 1)]


async def test_a_message_that_can_not_be_handled_does_not_take_the_rest_of_its_chunk_along(
    broker: RabbitBroker, foreigner: Any, stream: str
) -> None:
    await broker.ensure_stream(stream)
    chunk = [encode(Message(b"%d" % number)) for number in range(31)]
    chunk[4] = b"\x00 not a message"
    await foreigner.write(stream, chunk)
    reader = broker.reader(stream, "first")

    handled, failed = [], []
    async with asyncio.timeout(60):
        while len(handled) + len(failed) < 31:
            for delivery in await reader.read(at_most=1):
                try:
                    body = decode(delivery.raw).body
                    if body == b"7":
                        raise ArithmeticError("the handler broke")
                    handled.append(body)
                except (Rejected, ArithmeticError) as error:
                    failed.append(type(error))

    assert failed == [Rejected, ArithmeticError]
    assert handled == [b"%d" % number for number in range(31) if number not in (4, 7)]


async def test_an_empty_body_from_a_foreign_producer_stops_nobody(
    broker: RabbitBroker, foreigner: Any, stream: str, reading: Any
) -> None:
    await broker.ensure_stream(stream)
    await foreigner.write(stream, [b"", bytes(AMQPMessage(body=b"", application_properties={"a": 1})), b"\x00Su\x40"])
    await broker.publisher(stream, "writer").publish(numbered(1, 1))

    *empty, good = await reading.some(broker.reader(stream, "first"), 4)

    for delivery in empty:
        with pytest.raises(Rejected, match=r"message\.undecodable"):
            decode(delivery.raw)
    assert decode(good.raw).body == b"1"


async def test_a_connection_that_is_only_half_open_is_replaced(
    broker: RabbitBroker, by_proxy: RabbitBroker, proxy: Any, stream: str, reading: Any
) -> None:
    await broker.ensure_stream(stream)
    publisher, reader = broker.publisher(stream, "writer"), by_proxy.reader(stream, "first")
    await publisher.publish(numbered(1, 10))
    assert await reading.bodies(reader, 10) == bodies(1, 10)
    before = proxy.connections

    proxy.freeze()  # both ends believe that they are still connected
    await publisher.publish(numbered(11, 20))

    assert await reading.bodies(reader, 10) == bodies(11, 20)
    assert proxy.connections > before


async def test_an_idle_connection_that_is_well_is_kept(
    broker: RabbitBroker, proxy: Any, stream: str, reading: Any
) -> None:
    await broker.ensure_stream(stream)
    patient = RabbitBroker(proxy.settings(heartbeat_s=5), Health(), "patient")
    reader = patient.reader(stream, "first")
    assert await reader.read(wait_s=12) == []  # longer than it takes to doubt a silent one
    await broker.publisher(stream, "writer").publish(numbered(1, 1))

    assert await reading.bodies(reader, 1) == [b"1"]
    assert proxy.connections == 1
    await patient.close()


async def test_a_reader_goes_on_where_each_lost_connection_stopped(
    broker: RabbitBroker, by_proxy: RabbitBroker, proxy: Any, stream: str, reading: Any
) -> None:
    await broker.ensure_stream(stream)
    await broker.publisher(stream, "writer").publish([(n, Message(b"%d" % n + bytes(5000))) for n in range(1, 2001)])
    reader = by_proxy.reader(stream, "first")

    found = []
    for _ in range(4):
        found += await reading.some(reader, 500)
        proxy.cut()

    assert [decode(delivery.raw).body.rstrip(b"\0") for delivery in found] == bodies(1, 2000)


async def test_the_brokers_own_records_between_messages_disturb_nobody(
    broker: RabbitBroker, foreigner: Any, stream: str, reading: Any
) -> None:
    await broker.ensure_stream(stream)
    publisher, reader = broker.publisher(stream, "writer"), broker.reader(stream, "first")
    found = []
    for number in range(1, 6):
        await publisher.publish(numbered(number, number))
        found += await reading.some(reader, 1)
        await foreigner.store_offset(stream, found[-1].offset)

        assert await broker.last_offset(stream) == found[-1].offset
        resumed = broker.reader(stream, found[-1].offset)
        assert await reading.some(resumed, 1) == found[-1:]
        await resumed.close()

    assert [decode(delivery.raw).body for delivery in found] == bodies(1, 5)
    assert found[-1].offset > 4, "the broker left no gap: this test showed nothing"


async def test_a_stream_that_holds_only_the_brokers_own_records_is_empty(
    broker: RabbitBroker, foreigner: Any, stream: str
) -> None:
    await broker.ensure_stream(stream)
    await foreigner.store_offset(stream, 0)

    assert await broker.last_offset(stream) is None


async def test_reading_resumes_one_behind_the_checkpoint_even_inside_a_chunk(
    broker: RabbitBroker, stream: str, reading: Any
) -> None:
    await broker.ensure_stream(stream)
    await broker.publisher(stream, "writer").publish(numbered(1, 90))
    handled = (await reading.some(broker.reader(stream, "first"), 40))[-1].offset

    assert await reading.bodies(broker.reader(stream, handled + 1), 50) == bodies(41, 90)


@pytest.mark.parametrize("compression", [CompressionType.No, CompressionType.Gzip])
async def test_the_messages_of_a_sub_batch_have_offsets_of_their_own(
    broker: RabbitBroker, foreigner: Any, stream: str, reading: Any, compression: CompressionType
) -> None:
    await broker.ensure_stream(stream)
    await foreigner.write_packed(stream, [encode(Message(b"%d" % n)) for n in range(1, 11)], compression)
    await broker.publisher(stream, "writer").publish(numbered(11, 12))

    found = await reading.some(broker.reader(stream, "first"), 12)

    assert [decode(delivery.raw).body for delivery in found] == bodies(1, 12)
    assert await reading.bodies(broker.reader(stream, found[4].offset), 8) == bodies(5, 12)
    assert await broker.last_offset(stream) == found[-1].offset


async def test_a_reader_that_is_closed_while_it_attaches_ends(broker: RabbitBroker, stream: str) -> None:
    await broker.ensure_stream(stream)
    before = asyncio.all_tasks()
    for wait in range(200):  # at all moments of the ten milliseconds or so that it takes
        reader = broker.reader(stream, "first")
        await reader.read(wait_s=wait / 20_000)

        async with asyncio.timeout(60):
            await reader.close()
    assert asyncio.all_tasks() <= before  # no connection was left


async def test_large_messages_are_read_in_bounded_memory(broker: RabbitBroker, stream: str, reading: Any) -> None:
    await broker.ensure_stream(stream)
    await broker.publisher(stream, "writer").publish([(n, Message(b"%d" % n + bytes(300_000))) for n in range(1, 201)])
    reader = broker.reader(stream, "first")

    first = await reading.some(reader, 1)
    await asyncio.sleep(0.5)
    held = len(reader._unread)
    rest = await reading.some(reader, 199)

    assert [decode(d.raw).body.rstrip(b"\0") for d in first + rest] == bodies(1, 200)
    assert held < 100


async def test_a_stream_that_was_deleted_is_waited_for(
    broker: RabbitBroker, foreigner: Any, stream: str, reading: Any, health: Health
) -> None:
    await broker.ensure_stream(stream)
    reader = broker.reader(stream, "first")
    assert await reader.read(wait_s=0.2) == []

    await foreigner.delete(stream)
    async with asyncio.timeout(60):
        while health.is_ready:
            assert await reader.read(wait_s=0.05) == []
    assert stream in health.report()["waiting"]["broker"]["reason"]
    await broker.ensure_stream(stream)
    await broker.publisher(stream, "writer").publish(numbered(1, 1))

    assert await reading.bodies(reader, 1) == [b"1"]
    assert health.is_ready


async def test_a_wrong_password_is_told_and_not_waited_for(broker: RabbitBroker, rabbitmq: Any, stream: str) -> None:
    await broker.ensure_stream(stream)
    wrong = RabbitBroker(rabbitmq.settings.model_copy(update={"password": SecretStr("no")}), Health(), "wrong")

    with pytest.raises(Misconfigured, match="password"):
        await wrong.reader(stream, "first").read(wait_s=60)
    with pytest.raises(Misconfigured, match="password"):
        await wrong.publisher(stream, "writer").publish(numbered(1, 1))
    with pytest.raises(Misconfigured, match="password"):
        await wrong.last_offset(stream)
    await wrong.close()
