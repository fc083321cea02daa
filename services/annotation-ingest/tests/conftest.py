"""The service on the doubles of broker and store."""

from __future__ import annotations

import asyncio
import io
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydantic import SecretStr

from annotation_ingest.adapters.decoding import Decoders
from annotation_ingest.adapters.parking import STREAM as PARKED
from annotation_ingest.app import run
from annotation_ingest.decisions.trust import Trust
from annotation_ingest.handler import Ingest
from annotation_ingest.images.pictures import Pictures
from annotation_ingest.settings import IngestGroup, IngestSettings, InputSettings
from labelstream.blobs.memory import MemoryBlobs
from labelstream.events.annotation import AnnotationSettled
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.schemas import load_named_schema
from labelstream.service.health import Health
from labelstream.service.settings import BrokerSettings, StoreSettings
from labelstream.streams.amqp import decode, encode
from labelstream.streams.memory import MemoryBroker
from labelstream.streams.message import Message
from labelstream.view import AnnotationView

SECRET = SecretStr("a secret of a test alone")


def picture(seed: int = 0, kind: str = "PNG", size: tuple[int, int] = (8, 6), **save: Any) -> bytes:
    """Return a small image file; another seed, other bytes."""
    buffer = io.BytesIO()
    Image.new("RGB", size, (seed % 256, seed // 256 % 256, 77)).save(buffer, kind, **save)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def make_picture() -> Any:
    return picture


@pytest.fixture(scope="session")
def decoders() -> Iterator[Decoders]:
    pool = Decoders(processes=1, timeout_s=30, max_pixels=10_000)
    yield pool
    pool.close()


@pytest.fixture
def view(tmp_path: Path) -> Iterator[AnnotationView]:
    view = AnnotationView(tmp_path / "unit.sqlite")
    yield view
    view.close()


@pytest.fixture
def make_ingest(decoders: Decoders, view: AnnotationView) -> Any:
    def make(decoder: Any = decoders, *, schema: str = "example", hold_messages: int = 1000, **rights: Any) -> Ingest:
        blobs, health = MemoryBlobs(), Health()
        return Ingest(
            trust=Trust("annotations", "default", load_named_schema(schema), **rights),
            box_tolerance=0.01,
            hold_messages=hold_messages,
            pictures=Pictures("default", decoder, blobs, MemoryBlobs(), "annotations/", 1_000_000, health),
            view=view,
            blobs=blobs,
            health=health,
            hash_key=b"key",
        )

    return make


@dataclass
class Service:
    """annotation-ingest, started and stopped at will on one broker and store that stay."""

    decoders: Decoders
    state: Path
    broker: MemoryBroker = field(default_factory=MemoryBroker)
    blobs: MemoryBlobs = field(default_factory=MemoryBlobs)
    incoming: MemoryBlobs = field(default_factory=MemoryBlobs)
    health: Health = field(default_factory=Health)
    inputs: tuple[InputSettings, ...] = (InputSettings(schema="example"),)
    batch: int = 100
    told: dict[str, Any] = field(default_factory=dict)  # further settings

    async def send(self, *messages: Message | bytes, stream: str = "annotations") -> None:
        """Put messages, or bytes that are none, on an input stream."""
        await self.broker.ensure_stream(stream)
        for message in messages:
            self.broker.write_raw(stream, encode(message) if isinstance(message, Message) else message)

    def start(self) -> asyncio.Task[None]:
        """Start the service."""
        settings = IngestSettings(
            broker=BrokerSettings(username="nobody", password=SECRET),
            store=StoreSettings(endpoint_url="http://127.0.0.1:1", access_key="nobody", secret_key=SECRET),
            state_dir=self.state,
            ingest=IngestGroup(inputs=self.inputs, producer_hash_key=SECRET, batch=self.batch, **self.told),
        )
        return asyncio.create_task(run(settings, self.health, self.broker, self.blobs, self.incoming, self.decoders))

    async def work(self) -> list[AnnotationSettled]:
        """Run the service until every message has a receipt, stop it, and return all receipts."""
        task = self.start()
        try:
            while not task.done() and not self.is_done():
                await self.broker.changed(0.05)
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        return self.receipts()

    async def until_waiting(self, what: str) -> str:
        """Return why the service waits for `what`, once it does."""
        while what not in (waiting := self.health.report()["waiting"]):
            await self.broker.changed(0.01)
        return str(waiting[what]["reason"])

    def is_done(self) -> bool:
        """Say whether every message has its receipt, and the live view holds them all."""
        envelopes = self.envelopes()
        return len(envelopes) >= self.sent() and committed(self.state) == (envelopes[-1][0] if envelopes else None)

    def sent(self) -> int:
        """Count the messages on the input streams."""
        return sum(len(self.broker.stored(one.stream) or []) for one in self.inputs)

    def envelopes(self) -> list[tuple[int, Envelope]]:
        """Return what stands in annotation-events."""
        found = [(d.offset, Envelope.from_message(decode(d.raw))) for d in self.broker.stored(ANNOTATION_EVENTS) or []]
        return [(offset, envelope) for offset, envelope in found if envelope is not None]

    def receipts(self) -> list[AnnotationSettled]:
        """Return all receipts."""
        return [e.event for _, e in self.envelopes() if isinstance(e.event, AnnotationSettled)]

    def parked(self) -> list[Message]:
        """Return what is parked."""
        return [decode(delivery.raw) for delivery in self.broker.stored(PARKED) or []]

    def live_view(self) -> list[tuple[Any, ...]]:
        """Return all rows of the service's own view."""
        return rows(self.state / "annotations.sqlite")

    def rebuilt_view(self) -> list[tuple[Any, ...]]:
        """Return all rows of a view that is made from the stream alone."""
        path = self.state / "rebuilt.sqlite"
        view = AnnotationView(path)
        for offset, envelope in self.envelopes():
            view.apply(offset, envelope)
        view.close()
        return rows(path)


def committed(state: Path) -> int | None:
    """Return the offset up to which the view on disk is level with the stream."""
    path = state / "annotations.sqlite"
    if not path.exists():
        return None
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as view:
        found = view.execute("SELECT value FROM meta WHERE key = 'position'").fetchone()
        return int(found[0]) if found else None
    return None


def rows(path: Path) -> list[tuple[Any, ...]]:
    """Return every row of every table."""
    with sqlite3.connect(path) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return [(t, *row) for t in sorted(tables) for row in connection.execute(f"SELECT * FROM {t}")]  # noqa: S608 - names of our own tables


@pytest.fixture
def service(decoders: Decoders, tmp_path: Path) -> Service:
    return Service(decoders, tmp_path)


@pytest.fixture(scope="session")
def outcomes_of() -> Any:
    def outcomes(receipts: Sequence[AnnotationSettled]) -> list[Any]:
        return [outcome.outcome for receipt in receipts for outcome in receipt.outcomes]

    return outcomes


@pytest.fixture(scope="session")
def count_outcomes(outcomes_of: Any) -> Any:
    return lambda receipts: Counter(outcomes_of(receipts))
