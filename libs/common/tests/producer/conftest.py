"""A broker in memory, and a stand-in for the service that answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from labelstream.events.annotation import AnnotationErased, AnnotationSettled, Outcome
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.streams.amqp import decode
from labelstream.streams.memory import MemoryBroker
from labelstream.streams.message import Message
from labelstream.values import Position

INPUT = "annotations"


@dataclass
class Answering:
    """Gives a receipt to each message that it is shown."""

    broker: MemoryBroker
    _given: int = field(default=0)

    async def settle(self, *message_ids: str, outcome: str = "recorded") -> None:
        for message_id in message_ids:
            self._given += 1
            receipt = AnnotationSettled(
                input=Position(stream=INPUT, offset=self._given),
                message_id=message_id,
                message_key=f"key-{self._given}",
                wire="native",
                outcomes=(Outcome(name="n", outcome=outcome),),
            )
            await self._say(receipt)

    async def erased(self, message_id: str) -> None:
        self._given += 1
        at = Position(stream=INPUT, offset=self._given)
        await self._say(AnnotationErased(input=at, message_id=message_id, message_key="key", names=("n",)))

    async def _say(self, event: AnnotationSettled | AnnotationErased) -> None:
        envelope = Envelope.of(event, source="annotation-ingest", answers=str(self._given), project="default")
        await self.broker.publisher(ANNOTATION_EVENTS, "ingest").publish([(self._given, envelope.to_message())])


@pytest.fixture
async def broker() -> MemoryBroker:
    broker = MemoryBroker()
    for stream in (INPUT, ANNOTATION_EVENTS):
        await broker.ensure_stream(stream)
    return broker


@pytest.fixture
def answering(broker: MemoryBroker) -> Answering:
    return Answering(broker)


@pytest.fixture
def sent(broker: MemoryBroker) -> Callable[[], list[Message]]:
    """What is on the input stream."""
    return lambda: [decode(delivery.raw) for delivery in broker.stored(INPUT) or []]


@pytest.fixture
def until(broker: MemoryBroker) -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Wait until something has happened on the broker."""

    async def wait(true: Callable[[], bool]) -> None:
        while not true():
            await broker.changed(0.01)

    return wait
