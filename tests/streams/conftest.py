"""The brokers that the contract suite runs on, and what the tests on the real one share."""

from __future__ import annotations

import asyncio
import ssl
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from rstream import CompressionType, Consumer, Producer, RawMessage

from labelstream.service.health import Health
from labelstream.service.settings import BrokerSettings
from labelstream.streams.amqp import decode
from labelstream.streams.memory import MemoryBroker
from labelstream.streams.message import Delivery
from labelstream.streams.ports import Broker, Reader
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream_local.rabbitmq import RabbitServer

PATIENCE_S = 60  # a test that waits longer than this for anything has failed


@dataclass
class Foreigner:
    """Somebody who uses the real broker without our code."""

    settings: BrokerSettings

    def _login(self) -> dict[str, object]:
        return {
            "host": self.settings.host,
            "port": self.settings.stream_port,
            "username": self.settings.username,
            "password": self.settings.password.get_secret_value(),
        }

    async def write(self, stream: str, messages: list[bytes]) -> None:
        """Store messages, whatever their bytes, in one frame."""
        async with Producer(**self._login()) as producer:
            confirmed: asyncio.Queue[object] = asyncio.Queue()
            await producer.send_batch(stream, [RawMessage(raw) for raw in messages], on_publish_confirm=confirmed.put)
            for _ in messages:
                await asyncio.wait_for(confirmed.get(), PATIENCE_S)

    async def write_packed(self, stream: str, messages: list[bytes], compression: CompressionType) -> None:
        """Store messages as one sub-batch."""
        async with Producer(**self._login()) as producer:
            confirmed: asyncio.Queue[object] = asyncio.Queue()
            await producer.send_sub_entry(stream, messages, compression, on_publish_confirm=confirmed.put)
            await asyncio.wait_for(confirmed.get(), PATIENCE_S)

    async def store_offset(self, stream: str, offset: int) -> None:
        """Make the broker write a record of its own into the stream."""
        async with Consumer(**self._login()) as consumer:
            await consumer.store_offset(stream, "somebody", offset)
            while await consumer.query_offset(stream, "somebody") != offset:
                pass

    async def delete(self, stream: str) -> None:
        async with Producer(**self._login()) as producer:
            await producer.delete_stream(stream)


@dataclass
class _Pair:
    to_broker: asyncio.Event = field(default_factory=asyncio.Event)
    to_client: asyncio.Event = field(default_factory=asyncio.Event)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)


class Proxy:
    """A TCP proxy before the broker that can cut connections or stop forwarding on them."""

    def __init__(self, settings: BrokerSettings, tls: ssl.SSLContext | None = None) -> None:
        self._settings = settings
        self._tls = tls
        self._pairs: list[_Pair] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.connections = 0
        self.held = 0  # bytes that came on a frozen connection

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)

    def settings(self, **changes: object) -> BrokerSettings:
        """The broker's settings, by way of us."""
        port = self._server.sockets[0].getsockname()[1]
        return self._settings.model_copy(update={"stream_port": port, **changes})

    def freeze(self, *, answers_only: bool = False) -> None:
        """Stop forwarding on today's connections without closing them; later ones work."""
        self.held = 0
        for pair in self._pairs:
            pair.to_client.clear()
            if not answers_only:
                pair.to_broker.clear()

    def cut(self) -> None:
        """Close today's connections."""
        for pair in self._pairs:
            for writer in pair.writers:
                writer.transport.abort()
        self._pairs.clear()

    async def close(self) -> None:
        self.cut()
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            there = await asyncio.open_connection(self._settings.host, self._settings.stream_port)
        except OSError:
            writer.close()
            return
        pair = _Pair(writers=[writer, there[1]])
        pair.to_broker.set()
        pair.to_client.set()
        self._pairs.append(pair)
        self._tasks.append(asyncio.create_task(self._forward(reader, there[1], pair.to_broker)))
        self._tasks.append(asyncio.create_task(self._forward(there[0], writer, pair.to_client)))

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: asyncio.Event) -> None:
        try:
            while data := await reader.read(1 << 16):
                self.held += 0 if gate.is_set() else len(data)
                await gate.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass  # either side went away; so does the other
        finally:
            writer.close()


@dataclass
class Lab:
    """A broker under test, and a way to write to it as somebody else."""

    broker: Broker
    foreigner: Foreigner | None = None

    async def write_raw(self, stream: str, messages: list[bytes]) -> None:
        if self.foreigner is not None:
            await self.foreigner.write(stream, messages)
        else:
            assert isinstance(self.broker, MemoryBroker)
            for raw in messages:
                self.broker.write_raw(stream, raw)

    async def delete(self, stream: str) -> None:
        """Delete the stream as somebody else."""
        if self.foreigner is not None:
            await self.foreigner.delete(stream)
        else:
            assert isinstance(self.broker, MemoryBroker)
            self.broker.delete(stream)

    def evict(self, stream: str, before: int) -> None:
        """Have the double's retention done; the real broker does its own."""
        if isinstance(self.broker, MemoryBroker):
            self.broker.evict(stream, before)


@pytest_asyncio.fixture(params=["memory", pytest.param("rabbitmq", marks=pytest.mark.broker)])
async def lab(request: pytest.FixtureRequest) -> AsyncIterator[Lab]:
    if request.param == "memory":
        yield Lab(MemoryBroker())
        return
    settings = request.getfixturevalue("rabbitmq").settings
    broker = RabbitBroker(settings, Health(), "contract")
    yield Lab(broker, Foreigner(settings))
    await broker.close()


@pytest.fixture
def stream() -> str:
    return f"test-{uuid.uuid4().hex}"


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def foreigner(rabbitmq: RabbitServer) -> Foreigner:
    return Foreigner(rabbitmq.settings)


@pytest_asyncio.fixture
async def broker(rabbitmq: RabbitServer, health: Health) -> AsyncIterator[RabbitBroker]:
    """The real broker."""
    real = RabbitBroker(rabbitmq.settings, health, "test")
    yield real
    await real.close()


@pytest_asyncio.fixture
async def proxy(rabbitmq: RabbitServer) -> AsyncIterator[Proxy]:
    between = Proxy(rabbitmq.settings)
    await between.start()
    yield between
    await between.close()


@pytest_asyncio.fixture
async def by_proxy(proxy: Proxy) -> AsyncIterator[RabbitBroker]:
    """The real broker behind the proxy, with the shortest heartbeat."""
    far = RabbitBroker(proxy.settings(heartbeat_s=1), Health(), "by-proxy")
    yield far
    await far.close()


class Reading:
    """Reads until there is enough, or the test's patience ends."""

    async def some(self, reader: Reader, count: int) -> list[Delivery]:
        """Return the next `count` deliveries."""
        found: list[Delivery] = []
        async with asyncio.timeout(PATIENCE_S):
            while len(found) < count:
                found += await reader.read(count - len(found))
        return found

    async def bodies(self, reader: Reader, count: int) -> list[bytes]:
        """Return the bodies of the next `count` messages."""
        return [decode(delivery.raw).body for delivery in await self.some(reader, count)]

    async def all(self, broker: Broker, stream: str) -> list[bytes]:
        """Return the bodies of everything that is in the stream now."""
        last = await broker.last_offset(stream)
        reader = broker.reader(stream, "first")
        found: list[Delivery] = []
        async with asyncio.timeout(PATIENCE_S):
            while last is not None and (not found or found[-1].offset < last):
                found += await reader.read()
        await reader.close()
        return [decode(delivery.raw).body for delivery in found]

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until something outside our control has happened."""
        async with asyncio.timeout(PATIENCE_S):
            while not true():  # noqa: ASYNC110 -- nothing here could set an event
                await asyncio.sleep(0.01)


@pytest.fixture
def reading() -> Reading:
    return Reading()
