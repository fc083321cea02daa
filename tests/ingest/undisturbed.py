"""What receipts say when nothing goes wrong: the same service on the doubles of broker and store."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from annotation_ingest.adapters.decoding import Decoders
from annotation_ingest.app import run
from annotation_ingest.settings import IngestSettings
from labelstream.blobs.memory import MemoryBlobs
from labelstream.events.annotation import AnnotationSettled
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.service.health import Health
from labelstream.streams.amqp import decode
from labelstream.streams.memory import MemoryBroker
from labelstream.streams.message import Delivery
from labelstream.view import AnnotationView

INPUT = "annotations"


async def undisturbed(messages: Sequence[bytes], settings: IngestSettings) -> list[dict[str, Any]]:
    """Return what the receipts of `messages` say when nothing is killed, as `told` returns it."""
    broker = MemoryBroker()
    await broker.ensure_stream(INPUT)
    for message in messages:
        broker.write_raw(INPUT, message)
    decoders = Decoders(1, 30, 10_000)
    serving = asyncio.create_task(run(settings, Health(), broker, MemoryBlobs(), MemoryBlobs(), decoders))
    try:
        while not serving.done() and len(broker.stored(ANNOTATION_EVENTS) or []) < len(messages):
            await broker.changed(0.2)
    finally:
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
        decoders.close()
    return told(receipts_in(broker.stored(ANNOTATION_EVENTS) or []), broker.stored(INPUT) or [])


def receipts_in(deliveries: Sequence[Delivery]) -> list[AnnotationSettled]:
    """Return the receipts among what stands in `annotation-events`."""
    envelopes = [Envelope.from_message(decode(one.raw)) for one in deliveries]
    return [one.event for one in envelopes if one is not None and isinstance(one.event, AnnotationSettled)]


def told(receipts: Sequence[AnnotationSettled], inputs: Sequence[Delivery]) -> list[dict[str, Any]]:
    """Return what receipts say, with messages named by their number: offsets differ from broker to broker."""
    numbers = {one.offset: number for number, one in enumerate(inputs)}

    def numbered(value: Any) -> Any:
        if isinstance(value, dict):
            if value.keys() == {"stream", "offset"}:
                return numbers[value["offset"]] if value["stream"] == INPUT else value["stream"]
            return {key: numbered(one) for key, one in value.items()}
        return [numbered(one) for one in value] if isinstance(value, (list, tuple)) else value

    return [numbered(receipt.model_dump()) for receipt in receipts]


def rebuilt(deliveries: Sequence[Delivery], path: Path) -> list[tuple[Any, ...]]:
    """Return the rows of a view that is made from `annotation-events` alone."""
    view = AnnotationView(path)
    for one in deliveries:
        envelope = Envelope.from_message(decode(one.raw))
        assert envelope is not None
        view.apply(one.offset, envelope)
    view.close()
    return rows(path)


def rows(path: Path) -> list[tuple[Any, ...]]:
    """Return every row of every table of a view."""
    with sqlite3.connect(path) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return [(t, *row) for t in sorted(tables) for row in connection.execute(f"SELECT * FROM {t}")]  # noqa: S608 - names of our own tables
