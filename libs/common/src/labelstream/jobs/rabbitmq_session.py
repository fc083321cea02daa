"""One AMQP connection with what the job queues do on it. When it is lost, it is lost: the next one is made anew."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage
from aio_pika.exceptions import (
    AMQPConnectionError,
    AMQPError,
    ChannelInvalidStateError,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    DeliveryError,
    ProbableAuthenticationError,
    PublishError,
)
from aiormq.exceptions import ChannelAccessRefused, ConnectionInternalError
from pamqp.exceptions import PAMQPException

from labelstream.errors import Misconfigured, Unavailable
from labelstream.service.cancels import heeding_cancels
from labelstream.service.health import Health
from labelstream.service.settings import BrokerSettings
from labelstream.service.tls import BROKER_CA, perhaps_tls, trusting, why_not

JOB_QUEUE = "job queue"
DEAD = "jobs.dead"
ANSWER_TIMEOUT_S = 10.0  # for one answer of the broker, connecting included
DELIVERY_LIMIT = 20
# A queue that another connection declares at this moment is there for us before it has a leader: the
# broker then refuses what we publish, and closes our connection when we read.
NOT_YET_PAUSES_S = (0.05, 0.2, 1.0)

_LOST = (AMQPError, PAMQPException, ChannelInvalidStateError, TimeoutError, OSError)
_HUNG_UP = (asyncio.IncompleteReadError, ConnectionResetError, ssl.SSLEOFError)


@dataclass(frozen=True)
class Delivery:
    """A message that the broker has again when its channel closes before it is settled."""

    message: AbstractIncomingMessage
    channel: AbstractChannel

    async def accept(self) -> None:
        """Remove the message from its queue. Closing the channel proves that the broker heard it."""
        await self.message.ack()
        await self.channel.close()

    async def reject(self) -> None:
        """Send the message to the dead."""
        await self.message.reject(requeue=False)
        await self.channel.close()


class Session:
    """A connection, a channel for publishing with confirms, and the queues that are known to exist."""

    def __init__(self, connection: AbstractConnection, publishing: AbstractChannel, *, declares: bool) -> None:
        """Only `open` makes one."""
        self._connection = connection
        self._publishing = publishing
        self._declares = declares
        self._ensured: set[str] = set()

    @classmethod
    async def open(cls, settings: BrokerSettings, name: str, *, declares: bool = True) -> Session:
        """Connect, and make sure that there is a place for messages that are not jobs.

        Whoever declares no queues needs no right to: others have made them.
        """
        connection = await _connect(settings, name)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                publishing = await connection.channel(publisher_confirms=True, on_return_raises=True)
                if declares:
                    await _ensure_dead(connection)
                return cls(connection, publishing, declares=declares)
        except BaseException:
            await connection.close()
            raise

    @property
    def is_closed(self) -> bool:
        """Whether the connection is known to be lost."""
        return self._connection.is_closed or self._publishing.is_closed

    async def ensure(self, queue: str) -> None:
        """Declare a queue once in a connection's life, and the exchange of its own that feeds it.

        Whoever may write to the default exchange may write to every queue: this one can be allowed to a user alone.
        """
        if queue in self._ensured or not self._declares:
            return
        exchange = await self._publishing.declare_exchange(queue, aio_pika.ExchangeType.DIRECT, durable=True)
        declared = await self._publishing.declare_queue(
            queue,
            durable=True,
            arguments={
                "x-queue-type": "quorum",
                "x-delivery-limit": DELIVERY_LIMIT,
                "x-dead-letter-exchange": DEAD,
            },
        )
        await declared.bind(exchange, queue)
        self._ensured.add(queue)

    async def publish(self, queue: str, body: bytes, message_id: str) -> None:
        """Store a message; return when the broker confirmed it."""
        message = aio_pika.Message(
            body,
            message_id=message_id,
            content_type="application/msgpack",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )
        for pause_s in NOT_YET_PAUSES_S:
            try:
                await self._send(message, queue)
            except PublishError:  # there is no such queue
                raise
            except DeliveryError:  # the broker refused to store it
                await asyncio.sleep(pause_s)
            else:
                return
        await self._send(message, queue)

    async def next(self, queue: str, wait_s: float) -> Delivery | None:
        """Return the next message, or None when none came within `wait_s`.

        Each call consumes on a channel of its own, and only while it waits: a taker that is busy
        elsewhere holds no message back beyond those that it took.
        """
        try:
            channel = await self._connection.channel(publisher_confirms=False)
        except RuntimeError as error:  # so aiormq says that the connection was closed meanwhile
            raise ChannelInvalidStateError(str(error)) from error
        try:
            with heeding_cancels():
                message = await _first(channel, queue, wait_s)
        except BaseException:  # a taker that has gone holds nothing back
            await channel.close()
            raise
        if message is None:
            await channel.close()
            return None
        return Delivery(message, channel)

    async def close(self) -> None:
        """Drop the connection."""
        with suppress(*_LOST):  # it was lost already
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await self._connection.close()

    async def _send(self, message: aio_pika.Message, queue: str) -> None:
        exchange = await self._publishing.get_exchange(queue, ensure=False)
        await exchange.publish(message, queue, mandatory=True, timeout=ANSWER_TIMEOUT_S)


async def _ensure_dead(connection: AbstractConnection) -> None:
    """Make the place for messages that are not jobs, unless it is there.

    It belongs to no service: where each has a user of its own, none may make it, and the broker was told of it before.
    """
    looking = await connection.channel(publisher_confirms=False)
    try:
        await looking.get_exchange(DEAD)
    except ChannelNotFoundEntity:
        looking = await connection.channel(publisher_confirms=False)
        dead = await looking.declare_queue(DEAD, durable=True, arguments={"x-queue-type": "quorum"})
        exchange = await looking.declare_exchange(DEAD, aio_pika.ExchangeType.FANOUT, durable=True)
        await dead.bind(exchange)
    await looking.close()


async def _first(channel: AbstractChannel, queue: str, wait_s: float) -> AbstractIncomingMessage | None:
    """Return the message that waits already, or the first to come."""
    source = await channel.get_queue(queue, ensure=False)
    message = await source.get(fail=False, timeout=ANSWER_TIMEOUT_S)
    if message is not None or wait_s <= 0:
        return message
    inbox: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
    await channel.set_qos(prefetch_count=1)
    tag = await source.consume(inbox.put)
    arrival = asyncio.ensure_future(inbox.get())
    closed = asyncio.ensure_future(channel.closed())
    try:
        await asyncio.wait({arrival, closed}, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        await source.cancel(tag)  # before the message is settled, or the next one would follow it
        return arrival.result() if arrival.done() else None
    finally:
        arrival.cancel()
        closed.cancel()


async def _connect(settings: BrokerSettings, name: str) -> AbstractConnection:
    tls: dict[str, Any] = {}
    if settings.tls_ca is not None:
        tls = {"ssl": True, "ssl_context": trusting(settings.tls_ca, BROKER_CA)}
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            connection: AbstractConnection = await aio_pika.connect(
                host=settings.host,
                port=settings.amqp_port,
                login=settings.username,
                password=settings.password.get_secret_value(),
                virtualhost=settings.vhost,
                heartbeat=settings.heartbeat_s,
                client_properties={"connection_name": name},
                **tls,
            )
            return connection
    except (AMQPConnectionError, TimeoutError) as error:
        if (reason := why_not(error, f"the broker at {settings.host}:{settings.amqp_port}", BROKER_CA)) is not None:
            raise Misconfigured(reason) from error
        if isinstance(error.__cause__, _HUNG_UP) or isinstance(error, TimeoutError):
            hint = perhaps_tls(BROKER_CA, spoken=settings.tls_ca is not None)
            raise AMQPConnectionError(f"{str(error) or 'no answer'}; {hint}") from error
        raise


def is_not_yet(cause: BaseException | None) -> bool:
    """Whether the broker failed in itself, as it does while a queue comes into being."""
    return isinstance(cause, ConnectionInternalError)


@asynccontextmanager
async def translated(health: Health, settings: BrokerSettings) -> AsyncIterator[None]:
    """Turn the errors of aio-pika into Unavailable or Misconfigured, and tell `health`."""
    where = f"{settings.host}:{settings.amqp_port}"
    try:
        with heeding_cancels():
            yield
    except ProbableAuthenticationError as error:
        raise Misconfigured(f"the broker at {where} refuses user {settings.username!r}: {error}") from error
    except ChannelAccessRefused as error:
        raise Misconfigured(f"the broker at {where} lacks a permission for {settings.username!r}: {error}") from error
    except ChannelPreconditionFailed as error:
        raise Misconfigured(f"a queue exists with other arguments; delete it when it is empty: {error}") from error
    except _LOST as error:
        reason = f"{where}: {type(error).__name__}: {error}"
        health.waiting(JOB_QUEUE, reason)
        raise Unavailable(JOB_QUEUE, reason) from error
    health.ready(JOB_QUEUE)
