"""Streams without our runtime: rstream's own Producer and Consumer, as its manual uses them.

They share this process, and so the larger socket reads that our runtime gives rstream: the ceiling is
rstream at its best, not rstream as installed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rstream import (
    AMQPMessage,
    ConfirmationStatus,
    Consumer,
    ConsumerOffsetSpecification,
    MessageContext,
    OffsetType,
    Producer,
    Properties,
    amqp_decoder,
)

from labelstream.service.settings import BrokerSettings
from labelstream.streams.message import Message

LARGEST_FRAME = 900_000  # bytes; the broker's limit is 1 MiB


def login(settings: BrokerSettings) -> dict[str, Any]:
    """Return what rstream's classes want to know."""
    return {
        "host": settings.host,
        "port": settings.stream_port,
        "username": settings.username,
        "password": settings.password.get_secret_value(),
        "frame_max": 20 << 20,
    }


def amqp(message: Message) -> AMQPMessage:
    """Return the message in rstream's words."""
    return AMQPMessage(
        body=message.body,
        properties=Properties(
            message_id=message.message_id,
            correlation_id=message.correlation_id,
            subject=message.subject,
            content_type=message.content_type,
            creation_time=message.created_ms,
        ),
        application_properties=dict(message.properties),
    )


class Confirmed:
    """Counts confirms."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._all = asyncio.Event()

    def __call__(self, status: ConfirmationStatus) -> None:
        """Take note of one confirm."""
        assert status.is_confirmed
        self._wanted -= 1
        if self._wanted == 0:
            self._all.set()

    async def wait(self) -> None:
        """Return when all are there."""
        await self._all.wait()


async def publish(producer: Producer, stream: str, name: str, messages: Sequence[Message]) -> None:
    """Store messages under the publisher `name`: send every frame, then wait for the confirms of all."""
    confirmed = Confirmed(len(messages))
    for frame in _frames(messages):
        await producer.send_batch(stream, [amqp(one) for one in frame], name, on_publish_confirm=confirmed)
    await confirmed.wait()


def _frames(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """Cut messages of one size into what goes into one frame each."""
    most = min(100, max(1, LARGEST_FRAME // (len(messages[0].body) + 1_000)))
    for first in range(0, len(messages), most):
        yield messages[first : first + most]


def as_text(message: AMQPMessage) -> tuple[str, str, dict[str, str]]:
    """Turn the ids and application properties into text, which our runtime does too: rstream leaves them as bytes."""
    told, extra = message.properties, message.application_properties
    return told.message_id.decode(), told.subject.decode(), {k.decode(): v.decode() for k, v in extra.items()}


async def read(consumer: Consumer, stream: str, count: int, take: Callable[[AMQPMessage], object]) -> None:
    """Read and decode the first `count` messages, and hand each to `take`."""
    seen = 0
    enough = asyncio.Event()

    def on_message(message: AMQPMessage, _: MessageContext) -> None:
        nonlocal seen
        seen += 1
        if seen <= count:
            take(message)
        if seen == count:
            enough.set()

    first = ConsumerOffsetSpecification(OffsetType.FIRST, None)
    await consumer.subscribe(stream, on_message, decoder=amqp_decoder, offset_specification=first)
    await enough.wait()
