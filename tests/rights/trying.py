"""Trying everything, and seeing what is refused: each attempt is one question to the broker or the store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq.exceptions import ChannelAccessRefused
from rstream import exceptions, schema
from rstream.constants import OffsetType

from labelstream.service.settings import BrokerSettings
from labelstream.streams.rabbitmq_link import Link

NUMBER = 1  # of the one subscription, and the one publisher, that is open at a time

OnStream = Callable[[Link, str], Awaitable[None]]
OnQueue = Callable[[AbstractChannel, str], Awaitable[None]]


@asynccontextmanager
async def linked(settings: BrokerSettings) -> AsyncIterator[Link]:
    """Hold a connection for streams."""
    link = Link(settings, settings.host, settings.stream_port, None, "rights under test")
    try:
        await link.open_as()
        yield link
    finally:
        await link.stop()


async def read(link: Link, stream: str) -> None:
    await link.subscribe(stream, NUMBER, schema.OffsetSpec.from_params(OffsetType.FIRST, None), initial_credit=1)
    await link.unsubscribe(NUMBER)


async def ask_for_the_last_id(link: Link, stream: str) -> None:
    link.stream = stream
    await link.last_publishing_id("somebody")


async def write(link: Link, stream: str) -> None:
    await link.declare_publisher(stream=stream, reference="somebody", publisher_id=NUMBER)
    await link.delete_publisher(NUMBER)


async def create(link: Link, stream: str) -> None:
    try:
        await link.create_stream(stream, {})
    except (exceptions.StreamAlreadyExists, exceptions.PreconditionFailed):  # it was allowed, and there already
        return


async def delete(link: Link, stream: str) -> None:
    await link.delete_stream(stream)


ON_STREAMS: dict[str, OnStream] = {
    "read": read,
    "last id": ask_for_the_last_id,
    "write": write,
    "create": create,
    "delete": delete,
}


async def may(attempt: Awaitable[object]) -> bool:
    """Whether the broker lets somebody; anything but a refusal is raised."""
    try:
        await attempt
    except (exceptions.AccessRefused, ChannelAccessRefused):
        return False
    return True


@asynccontextmanager
async def connected(settings: BrokerSettings) -> AsyncIterator[AbstractConnection]:
    """Hold a connection for queues."""
    connection = await aio_pika.connect(
        host=settings.host,
        port=settings.amqp_port,
        login=settings.username,
        password=settings.password.get_secret_value(),
    )
    async with connection:
        yield connection


async def declare_exchange(channel: AbstractChannel, name: str) -> None:
    await channel.declare_exchange(name, aio_pika.ExchangeType.DIRECT, durable=True)


async def declare(channel: AbstractChannel, queue: str) -> None:
    await channel.declare_queue(queue, durable=True, arguments={"x-queue-type": "quorum"})


async def publish(channel: AbstractChannel, exchange: str) -> None:
    target = await channel.get_exchange(exchange, ensure=False)
    await target.publish(aio_pika.Message(b"1"), exchange, mandatory=False)


async def consume(channel: AbstractChannel, queue: str) -> None:
    message = await (await channel.get_queue(queue, ensure=False)).get(fail=False)
    if message is not None:
        await message.nack()


ON_QUEUES: dict[str, OnQueue] = {
    "declare its exchange": declare_exchange,
    "declare": declare,
    "publish": publish,
    "consume": consume,
}


async def on_a_channel(connection: AbstractConnection, attempt: Callable[[AbstractChannel], Awaitable[object]]) -> bool:
    """Whether the broker lets somebody; a refusal closes the channel, so each attempt has one of its own."""
    channel = await connection.channel()
    try:
        return await may(attempt(channel))
    finally:
        await channel.close()
