"""What the streams of a stack hold, read as it comes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from chaos.producing import digest
from labelstream.annotating import stream_of
from labelstream.events.base import (
    ANNOTATION_EVENTS,
    BATCH_EVENTS,
    MODEL_EVENTS,
    SERVING_EVENTS,
    TRAINING_EVENTS,
    Event,
)
from labelstream.events.envelope import Envelope
from labelstream.streams.amqp import decode
from labelstream.streams.message import Delivery
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream_local.rights import input_stream

PROJECT = "default"
INPUT = input_stream(PROJECT)
PROPOSALS = stream_of(PROJECT)
LABELLING = (INPUT, ANNOTATION_EVENTS, BATCH_EVENTS)  # that a stack without training has
OWN = (ANNOTATION_EVENTS, BATCH_EVENTS, TRAINING_EVENTS, MODEL_EVENTS, SERVING_EVENTS)

E = TypeVar("E", bound=Event)


@dataclass(frozen=True)
class Stored:
    """A message of the input, as the stream holds it."""

    offset: int
    id: str
    body: str  # digest


@dataclass(frozen=True)
class Said:
    """An event of ours, and where it stands."""

    offset: int
    event: Event
    at: float  # when we read it


@dataclass
class Streams:
    """Everything that some streams hold."""

    broker: RabbitBroker
    names: Sequence[str] = (INPUT, *OWN)
    stored: list[Stored] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)  # of the input, for the replay
    said: dict[str, list[Said]] = field(default_factory=lambda: {stream: [] for stream in OWN})
    unreadable: list[str] = field(default_factory=list)

    async def run(self) -> None:
        """Read until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for stream in self.names:
                tasks.create_task(self._follow(stream))

    def events(self, kind: type[E]) -> list[E]:
        """Return every event of a kind so far."""
        return [one.event for one in self.said[kind.stream] if isinstance(one.event, kind)]

    def times(self, kind: type[E]) -> list[tuple[E, float]]:
        """Return every event of a kind so far, and when we read it."""
        return [(one.event, one.at) for one in self.said[kind.stream] if isinstance(one.event, kind)]

    async def _follow(self, stream: str) -> None:
        reader = self.broker.reader(stream, "first")
        try:
            while True:
                for delivery in await reader.read():
                    self._take(delivery)
        finally:
            await reader.close()

    def _take(self, delivery: Delivery) -> None:
        message = decode(delivery.raw)
        if delivery.stream == INPUT:
            self.raw.append(delivery.raw)
            self.stored.append(Stored(delivery.offset, message.message_id or "", digest(message)))
            return
        envelope = Envelope.from_message(message)
        if envelope is None:
            self.unreadable.append(f"{delivery.stream} holds something else than an event at {delivery.offset}")
        else:
            self.said[delivery.stream].append(Said(delivery.offset, envelope.event, time.time()))
