"""Publishing with confirms, and reading with decoding, against rstream alone.

Events carry the CloudEvents attributes that ours always carry. Connections are open before the clock
starts. Each run of publishing gets a stream of its own; all runs of reading read the same one.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rstream import Consumer, Producer

from benchmarks import bare_streams
from benchmarks.bare_streams import login
from benchmarks.pairs import Contest, Run
from benchmarks.servers import running
from labelstream.service.health import Health
from labelstream.streams.amqp import decode
from labelstream.streams.message import Message
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream_local.rabbitmq import RabbitServer

SIZES = {"1 KB": (1_000, 10_000), "200 KB": (200_000, 500)}  # bytes of a body, messages of a run
PUBLISHER = "bench"


@asynccontextmanager
async def contests(folder: Path) -> AsyncIterator[list[Contest]]:
    """Start a broker and prepare the work."""
    async with running(RabbitServer(folder / "rabbitmq", plugins=("rabbitmq_stream",))) as server:
        broker = RabbitBroker(server.settings, Health(), "bench")
        try:
            lab = Lab(server, broker)
            yield [one for name, (size, count) in SIZES.items() for one in await _contests(lab, name, size, count)]
        finally:
            await broker.close()


async def _contests(lab: Lab, name: str, size: int, count: int) -> list[Contest]:
    messages = [_message(size, number) for number in range(count)]
    stored = await lab.filled(messages)
    return [
        Contest(
            f"publish and confirm {name}",
            lab.publishing(messages),
            {"bare": lab.publishing_bare(messages)},
            count,
            "messages",
        ),
        Contest(
            f"read and decode {name}",
            lab.reading(stored, count),
            {"bare": lab.reading_bare(stored, count)},
            count,
            "messages",
        ),
    ]


def _message(size: int, number: int) -> Message:
    attributes = ("specversion", "id", "source", "type", "datacontenttype", "project", "task")
    return Message(
        body=os.urandom(size),
        message_id=f"{number:032x}",
        correlation_id=f"{number:032x}",
        subject="benchmark.message",
        content_type="application/msgpack",
        created_ms=1_700_000_000_000 + number,
        properties={
            "traceparent": "00-" + "a" * 52,
            **{f"cloudEvents_{name}": f"{number:032x}" for name in attributes},
        },
    )


@dataclass
class Lab:
    """A broker, and the ways to use it that are compared."""

    server: RabbitServer
    broker: RabbitBroker
    _number: itertools.count[int] = field(default_factory=itertools.count)

    async def filled(self, messages: list[Message]) -> str:
        """Return a stream that holds the messages."""
        stream = await self._new_stream()
        publisher = self.broker.publisher(stream, PUBLISHER)
        await publisher.publish(list(enumerate(messages, 1)))
        await publisher.close()
        return stream

    def publishing(self, messages: list[Message]) -> Run:
        """Publish through our runtime."""

        async def run() -> float:
            stream = await self._new_stream()
            publisher = self.broker.publisher(stream, PUBLISHER)
            await publisher.publish([(1, messages[0])])
            began = time.perf_counter()
            await publisher.publish(list(enumerate(messages, 2)))
            seconds = time.perf_counter() - began
            await publisher.close()
            await self._finish(stream, len(messages))
            return seconds

        return run

    def publishing_bare(self, messages: list[Message]) -> Run:
        """Publish through rstream's producer; its automatic ids rise as ours do."""

        async def run() -> float:
            stream = await self._new_stream()
            async with Producer(**login(self.server.settings)) as producer:
                await bare_streams.publish(producer, stream, PUBLISHER, messages[:1])
                began = time.perf_counter()
                await bare_streams.publish(producer, stream, PUBLISHER, messages)
                seconds = time.perf_counter() - began
            await self._finish(stream, len(messages))
            return seconds

        return run

    def reading(self, stream: str, count: int) -> Run:
        """Read through our runtime."""

        async def run() -> float:
            reader = self.broker.reader(stream, "first")
            seen = 0
            began = time.perf_counter()
            while seen < count:
                seen += sum(len(decode(one.raw).body) > 0 for one in await reader.read())
            seconds = time.perf_counter() - began
            await reader.close()
            return seconds

        return run

    def reading_bare(self, stream: str, count: int) -> Run:
        """Read through rstream's consumer."""

        async def run() -> float:
            consumer = Consumer(**login(self.server.settings))
            began = time.perf_counter()
            await consumer.start()
            await bare_streams.read(consumer, stream, count, bare_streams.as_text)
            seconds = time.perf_counter() - began
            await consumer.close()
            return seconds

        return run

    async def _new_stream(self) -> str:
        stream = f"bench-{next(self._number)}"
        await self.broker.ensure_stream(stream)
        return stream

    async def _finish(self, stream: str, count: int) -> None:
        """Make sure that all is stored, and remove the stream."""
        assert await self.broker.last_offset(stream) == count, "not every message was stored"
        async with Producer(**login(self.server.settings)) as producer:
            await producer.delete_stream(stream)
