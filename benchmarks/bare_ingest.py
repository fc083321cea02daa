"""What annotation-ingest does at the least: the same libraries in a plain loop, without a rule, a view or a recovery.

As in the service, 16 images are under way at once, and one batch is published while the next is prepared.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import msgpack
import obstore
from obstore.store import S3Store
from pebble import ProcessPool
from PIL import Image
from rstream import AMQPMessage, Consumer, Producer

from benchmarks import bare_streams
from benchmarks.bare_streams import login
from labelstream.service.settings import BrokerSettings, StoreSettings
from labelstream.streams.message import Message

PUBLISHER = "bare"
BATCH, AT_ONCE, PROCESSES = 100, 16, 2

Body = dict[str, Any]
Answer = Callable[[Sequence[Body]], Awaitable[list[Message]]]


@dataclass
class Images:
    """Answers submissions of images."""

    data: S3Store
    incoming: S3Store
    decoders: ProcessPool
    folder: str  # of the keys in the data bucket
    receipt_bytes: int
    done: int = 0
    _hands: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def answer(self, bodies: Sequence[Body]) -> list[Message]:
        """Store the images of a batch; return the receipts."""
        return list(await asyncio.gather(*(self._one(body) for body in bodies)))

    async def _one(self, body: Body) -> Message:
        async with self._hands:
            image = body["image"] if "image" in body else await self._fetched(body["image_ref"])
            kind, width, height = await asyncio.wrap_future(self.decoders.schedule(decode, args=(image,)))
            digest = hashlib.sha256(image).hexdigest()
            key = f"{self.folder}/{digest}.{kind}"
            stored = await obstore.put_async(self.data, key, image, mode="create", use_multipart=False)
            assert stored["e_tag"] is not None
            self.done += 1
            return receipt([body["name"], digest, width, height], self.receipt_bytes)

    async def _fetched(self, reference: dict[str, str]) -> bytes:
        found = await obstore.get_async(self.incoming, reference["key"])
        image = (await found.bytes_async()).to_bytes()
        assert hashlib.sha256(image).hexdigest() == reference["sha256"]
        return image


def decode(image: bytes) -> tuple[str, int, int]:
    """Decode an image whole, in a child process."""
    with Image.open(io.BytesIO(image)) as opened:
        opened.load()
        return str(opened.format), opened.width, opened.height


@dataclass
class Names:
    """Answers bulk messages: every name's new state goes into a table, in one transaction a batch."""

    table: sqlite3.Connection
    receipt_bytes: int
    done: int = 0

    async def answer(self, bodies: Sequence[Body]) -> list[Message]:
        """Write down what the names of a batch came to; return the receipts."""
        self.table.execute("BEGIN")
        receipts = [self._one(body["names"]) for body in bodies]
        self.table.execute("COMMIT")
        return receipts

    def _one(self, names: list[str]) -> Message:
        outcomes = []
        for name in names:
            (number, revision) = self.table.execute("SELECT id, revision FROM name WHERE name = ?", (name,)).fetchone()
            self.table.execute("UPDATE name SET revision = ?, validated = 1 WHERE id = ?", (revision + 1, number))
            outcomes.append([name, "validated", revision + 1])
        self.done += len(outcomes)
        return receipt(outcomes, self.receipt_bytes)


def open_table(path: Path, names: Sequence[str]) -> sqlite3.Connection:
    """Return a table that holds the names, in the mode in which the service's view is kept."""
    table = sqlite3.connect(path, isolation_level=None)
    table.execute("PRAGMA journal_mode = WAL")
    table.execute("PRAGMA synchronous = NORMAL")
    table.execute("CREATE TABLE name (id INTEGER PRIMARY KEY, name TEXT UNIQUE, revision INTEGER, validated INTEGER)")
    table.execute("BEGIN")
    table.executemany("INSERT INTO name (name, revision, validated) VALUES (?, 1, 0)", ((name,) for name in names))
    table.execute("COMMIT")
    return table


def receipt(told: list[Any], size_bytes: int) -> Message:
    """Return a receipt of at least that size."""
    body = msgpack.packb(told)
    return Message(
        body=body + b"\0" * (size_bytes - len(body)),
        message_id=f"{id(told):032x}",
        correlation_id=f"{id(told):032x}",
        subject="benchmark.receipt",
        content_type="application/msgpack",
        created_ms=time.time_ns() // 1_000_000,
        properties={"traceparent": "00-" + "a" * 52},
    )


async def run(broker: BrokerSettings, stream: str, receipts: str, count: int, answer: Answer, read_back: bool) -> float:
    """Answer the first `count` messages of a stream; return the seconds from the first to the last receipt."""
    async with Producer(**login(broker)) as producer, _reader(broker) as consumer, _reader(broker) as checking:
        arrived: asyncio.Queue[Body] = asyncio.Queue()
        publishing: asyncio.Task[None] | None = None
        left = count
        began = time.perf_counter()
        reading = asyncio.create_task(bare_streams.read(consumer, stream, count, partial(_take, arrived)))
        checked = asyncio.create_task(_checked(checking, receipts, count)) if read_back else None
        while left:
            batch = await _batch(arrived)
            left -= len(batch)
            answers = await answer(batch)
            if publishing is not None:
                await publishing
            publishing = asyncio.create_task(bare_streams.publish(producer, receipts, PUBLISHER, answers))
        if publishing is not None:
            await publishing
        if checked is not None:
            await checked
        seconds = time.perf_counter() - began
        await reading
        return seconds


def _take(arrived: asyncio.Queue[Body], message: AMQPMessage) -> None:
    arrived.put_nowait(msgpack.unpackb(_bytes(message)))


async def _batch(arrived: asyncio.Queue[Body]) -> list[Body]:
    """Return what is there, at least one and at most a batch."""
    batch = [await arrived.get()]
    while len(batch) < BATCH and not arrived.empty():
        batch.append(arrived.get_nowait())
    return batch


async def _checked(consumer: Consumer, receipts: str, count: int) -> None:
    await bare_streams.read(consumer, receipts, count, _bytes)


def _bytes(message: AMQPMessage) -> bytes:
    body = message.body
    return body if isinstance(body, bytes) else bytes(body)


@asynccontextmanager
async def _reader(broker: BrokerSettings) -> AsyncIterator[Consumer]:
    consumer = Consumer(**login(broker))
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.close()


def bucket(settings: StoreSettings, name: str) -> S3Store:
    """Open a bucket."""
    return S3Store(
        name,
        endpoint=settings.endpoint_url,
        region=settings.region,
        access_key_id=settings.access_key,
        secret_access_key=settings.secret_key.get_secret_value(),
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )


def pool() -> ProcessPool:
    """Return as many decoders as the service has, each started and warm."""
    made = ProcessPool(max_workers=PROCESSES, context=get_context("spawn"))
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG")
    for future in [made.schedule(decode, args=(file.getvalue(),)) for _ in range(4 * PROCESSES)]:
        future.result()
    return made
