"""Each user of a real broker, with everything that there is: it may do what the design says, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import aio_pika
import pytest
import pytest_asyncio
from aio_pika.abc import AbstractChannel

from labelstream_local.rabbitmq import RabbitServer

from .expected import QUEUES, STREAMS, USERS
from .trying import ON_QUEUES, ON_STREAMS, connected, create, linked, may, on_a_channel

pytestmark = pytest.mark.broker

FOREIGN_EXCHANGES = ("amq.default", "amq.direct", "amq.fanout", "amq.topic", "amq.headers", "amq.match")


@pytest_asyncio.fixture
async def everything(node: RabbitServer) -> AsyncIterator[RabbitServer]:
    """A broker on which every stream and queue exists."""
    async with linked(node.settings) as link:
        for stream in STREAMS:
            await create(link, stream)
    async with connected(node.settings) as connection:
        channel = await connection.channel()
        for queue in QUEUES.keys() - {"jobs.dead"}:
            exchange = await channel.declare_exchange(queue, aio_pika.ExchangeType.DIRECT, durable=True)
            declared = await channel.declare_queue(queue, durable=True, arguments={"x-queue-type": "quorum"})
            await declared.bind(exchange, queue)
    yield node


@pytest.mark.parametrize("user", USERS)
async def test_a_user_reads_writes_creates_and_deletes_only_the_streams_of_its_own(
    everything: RabbitServer, user: str
) -> None:
    seen: dict[str, dict[str, bool]] = {}
    async with linked(everything.settings) as operator, linked(everything.settings_of(user)) as link:
        for stream in STREAMS:
            seen[stream] = {what: await may(attempt(link, stream)) for what, attempt in ON_STREAMS.items()}
            await create(operator, stream)  # where it was deleted
    assert seen == {stream: allowed.allows(user) for stream, allowed in STREAMS.items()}


@pytest.mark.parametrize("user", USERS)
async def test_a_user_declares_fills_and_empties_only_the_queues_of_its_own(
    everything: RabbitServer, user: str
) -> None:
    async with connected(everything.settings_of(user)) as connection:
        seen = {
            queue: {what: await on_a_channel(connection, partial(_on, attempt, queue)) for what, attempt in _ON}
            for queue in QUEUES
        }
    assert seen == {queue: allowed.allows(user) for queue, allowed in QUEUES.items()}


@pytest.mark.parametrize("user", USERS)
async def test_nobody_writes_to_the_exchanges_that_reach_every_queue(everything: RabbitServer, user: str) -> None:
    async with connected(everything.settings_of(user)) as connection:
        seen = {
            exchange: await on_a_channel(connection, partial(_publish_to, exchange)) for exchange in FOREIGN_EXCHANGES
        }
    assert seen == dict.fromkeys(FOREIGN_EXCHANGES, False)


async def test_the_operator_may_do_everything(everything: RabbitServer) -> None:
    async with linked(everything.settings) as link:
        streams = [await may(attempt(link, "payments")) for attempt in ON_STREAMS.values()]
    async with connected(everything.settings) as connection:
        queues = [await on_a_channel(connection, partial(_on, attempt, "payments.due")) for _, attempt in _ON]
        default = await on_a_channel(connection, partial(_publish_to, "amq.default"))
    assert all((*streams, *queues, default))


# The ways around: exchanges that are bound to others' queues, and queues whose dead letters go there.


async def _bind_own_exchange_to_a_stream(channel: AbstractChannel) -> None:
    await (await channel.get_queue("training-events", ensure=False)).bind("jobs.train", "jobs.train")


async def _bind_own_exchange_to_anothers_queue(channel: AbstractChannel) -> None:
    await (await channel.get_queue("requests.exporter", ensure=False)).bind("jobs.train", "jobs.train")


async def _bind_own_queue_to_anothers_exchange(channel: AbstractChannel) -> None:
    await (await channel.get_queue("jobs.train", ensure=False)).bind("requests.exporter", "requests.exporter")


async def _read_a_stream_as_a_queue(channel: AbstractChannel) -> None:
    await channel.set_qos(prefetch_count=1)
    await (await channel.get_queue("annotation-events", ensure=False)).consume(_ignored)


async def _declare_a_queue_of_another_name(channel: AbstractChannel) -> None:
    await channel.declare_queue("jobs.train.mine", durable=True)


async def _purge_anothers_queue(channel: AbstractChannel) -> None:
    await (await channel.get_queue("requests.trainer", ensure=False)).purge()


async def _delete_anothers_queue(channel: AbstractChannel) -> None:
    await channel.queue_delete("requests.trainer")


async def _ignored(_: object) -> None:
    """Take no note of a message."""


@pytest.mark.parametrize(
    "attempt",
    [
        _bind_own_exchange_to_a_stream,
        _bind_own_exchange_to_anothers_queue,
        _bind_own_queue_to_anothers_exchange,
        _read_a_stream_as_a_queue,
        _declare_a_queue_of_another_name,
        _purge_anothers_queue,
        _delete_anothers_queue,
    ],
    ids=lambda attempt: attempt.__name__.strip("_"),
)
async def test_a_worker_finds_no_way_around(
    everything: RabbitServer, attempt: Callable[[AbstractChannel], Awaitable[None]]
) -> None:
    async with connected(everything.settings_of("trainer-work")) as connection:
        assert not await on_a_channel(connection, attempt)
    async with connected(everything.settings) as connection:
        assert await on_a_channel(connection, attempt)  # it is the user who is refused, not the attempt


@pytest.mark.parametrize("exchange", ["", "requests.exporter", "amq.fanout"])
async def test_dead_letters_are_no_way_around(everything: RabbitServer, exchange: str) -> None:
    """What may be declared under a prefix may not hand on its messages to where its user may not write."""
    arguments = {"x-queue-type": "quorum", "x-dead-letter-exchange": exchange, "x-dead-letter-routing-key": "payments"}

    async def declare(channel: AbstractChannel) -> None:
        await channel.declare_queue("jobs.export.evil", durable=True, arguments=arguments)

    async def declare_exchange(channel: AbstractChannel) -> None:
        told = {"alternate-exchange": exchange or "amq.default"}
        await channel.declare_exchange("jobs.export.evil", aio_pika.ExchangeType.DIRECT, durable=True, arguments=told)

    async with connected(everything.settings_of("exporter-work")) as connection:
        assert not await on_a_channel(connection, declare)
        assert not await on_a_channel(connection, declare_exchange)


_ON = tuple(ON_QUEUES.items())


async def _on(attempt: Callable[[AbstractChannel, str], Awaitable[None]], queue: str, channel: AbstractChannel) -> None:
    await attempt(channel, queue)


async def _publish_to(exchange: str, channel: AbstractChannel) -> None:
    name = "" if exchange == "amq.default" else exchange
    target = channel.default_exchange if not name else await channel.get_exchange(name, ensure=False)
    await target.publish(aio_pika.Message(b"1"), "payments.due", mandatory=False)
