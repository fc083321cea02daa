"""The real broker and store, with a stand-in for the service that answers each message."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import pytest_asyncio

from labelstream.events.annotation import AnnotationErased, AnnotationSettled, Outcome
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.service.health import Health
from labelstream.service.settings import BrokerSettings
from labelstream.streams.amqp import decode
from labelstream.streams.message import Delivery
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream.values import Position
from labelstream.wire.reading import read_submission
from labelstream.wire.submission import Submission


@dataclass
class StandIn:
    """Answers each message of an input stream once, in its order, as annotation-ingest would."""

    broker: RabbitBroker
    stream: str
    seen: list[Submission] = field(default_factory=list)

    async def answer(self) -> None:
        """Answer from the first message on, until cancelled."""
        reader = self.broker.reader(self.stream, "first")
        receipts = self.broker.publisher(ANNOTATION_EVENTS, f"ingest-of-{self.stream}")
        while True:
            deliveries = await reader.read()
            if deliveries:
                await receipts.publish([(one.offset + 1, self._receipt(one).to_message()) for one in deliveries])

    def _receipt(self, delivery: Delivery) -> Envelope:
        asked = read_submission(decode(delivery.raw))
        keys = {one.message_key for one in self.seen}
        self.seen.append(asked)
        at = Position(stream=self.stream, offset=delivery.offset)
        outcome = "duplicated" if asked.message_key in keys else "recorded"
        said = {"input": at, "message_id": asked.message_id, "message_key": asked.message_key}
        event = (
            AnnotationErased(**said, names=asked.names)
            if asked.kind == "erased"
            else AnnotationSettled(
                **said, wire="native", outcomes=tuple(Outcome(name=n, outcome=outcome) for n in asked.names)
            )
        )
        return Envelope.of(event, source="stand-in", answers=str(delivery.offset), project="default")


@asynccontextmanager
async def answering(settings: BrokerSettings, stream: str) -> AsyncIterator[StandIn]:
    """Create the streams and answer what comes."""
    broker = RabbitBroker(settings, Health(), "stand-in")
    for one in (stream, ANNOTATION_EVENTS):
        await broker.ensure_stream(one)
    service = StandIn(broker, stream)
    task = asyncio.create_task(service.answer())
    yield service
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await broker.close()


@pytest.fixture
def stream(request: pytest.FixtureRequest) -> str:
    return f"annotations.{request.node.name}"


@pytest_asyncio.fixture
async def service(rabbitmq: object, stream: str) -> AsyncIterator[StandIn]:
    async with answering(rabbitmq.settings, stream) as service:  # type: ignore[attr-defined]
        yield service


@pytest.fixture
def answer() -> Callable[..., object]:
    """Start a stand-in on another broker."""
    return answering
