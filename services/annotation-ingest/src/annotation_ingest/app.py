"""Wires annotation-ingest together."""

from __future__ import annotations

import asyncio

from annotation_ingest.adapters.decoding import Decoders
from annotation_ingest.adapters.parking import Parking
from annotation_ingest.batches import Desk
from annotation_ingest.domain import Trust
from annotation_ingest.handler import Ingest
from annotation_ingest.ports import ImageDecoder
from annotation_ingest.rules import BoxRules
from annotation_ingest.settings import IngestSettings, InputSettings
from labelstream.blobs.ports import Blobs
from labelstream.blobs.s3 import S3Blobs
from labelstream.classes import ClassSchema
from labelstream.errors import Unavailable
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.schemas import load_named_schema
from labelstream.schemas.recorded import record_schema
from labelstream.service.health import Health
from labelstream.service.http import health_app, serve_http
from labelstream.service.patience import patiently
from labelstream.streams.journal import Journal
from labelstream.streams.ports import Broker
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream.view import AnnotationView
from labelstream.view.foreign import discard_if_foreign

NAME = "annotation-ingest"


async def main(settings: IngestSettings, health: Health) -> None:
    """Run the service against RabbitMQ and S3."""
    broker = RabbitBroker(settings.broker, health, NAME)
    blobs = S3Blobs(settings.store, settings.store.data_bucket, health)
    told = settings.ingest
    decoders = Decoders(told.decoders, told.decode_timeout_s, told.image.max_pixels)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(serve_http(health_app(health), settings.http_host, settings.http_port))
            tasks.create_task(run(settings, health, broker, blobs, decoders))
    finally:
        decoders.close()
        await broker.close()
        await blobs.close()


async def run(settings: IngestSettings, health: Health, broker: Broker, blobs: Blobs, decoder: ImageDecoder) -> None:
    """Answer every input stream until cancelled."""
    health.waiting("start", "the view is read from the stream")
    told = settings.ingest
    schemas = {one.schema_name: load_named_schema(one.schema_name) for one in told.inputs}
    view = AnnotationView(settings.state_dir / "annotations.sqlite")
    journal = Journal(broker, ANNOTATION_EVENTS, [publisher(one) for one in told.inputs], view.apply, health)
    parking = Parking(broker, health)
    try:
        for one in told.inputs:
            await _record(blobs, one.project, schemas[one.schema_name], health)
        await parking.prepare(told.parking.retention)
        await discard_if_foreign(view, broker, ANNOTATION_EVENTS, health)
        answered = await journal.open("first" if view.position is None else view.position + 1)
        view.commit()
        desk = Desk(journal, view, parking, health, told.rejections_to_degrade)
        async with asyncio.TaskGroup() as tasks:
            for one in told.inputs:
                schema = schemas[one.schema_name]
                ingest = Ingest(
                    trust=Trust(one.project, one.may_validate, schema.digest),
                    boxes=BoxRules(schema, told.box_tolerance),
                    max_bytes=told.image.max_bytes,
                    decoder=decoder,
                    blobs=blobs,
                    health=health,
                    hash_key=told.producer_hash_key.get_secret_value().encode(),
                )
                last = view.last_input(one.stream)
                start = max(answered[publisher(one)], 0 if last is None else last + 1)
                tasks.create_task(_follow(one, start, ingest, desk, broker, told.batch))
    finally:
        await parking.close()
        await journal.close()
        view.close()


def publisher(one: InputSettings) -> str:
    """Return the publisher name of the receipts for an input stream."""
    return f"{NAME}.{one.stream}"


async def _follow(one: InputSettings, start: int, ingest: Ingest, desk: Desk, broker: Broker, batch: int) -> None:
    """Answer one input stream from the offset `start` on."""
    await patiently(desk.health, "broker", lambda: broker.ensure_stream(one.stream))
    await patiently(desk.health, f"input {one.stream}", lambda: _check_input(broker, one.stream, start))
    desk.introduce(one.stream)
    desk.health.ready("start")
    reader = broker.reader(one.stream, start)
    try:
        while True:
            deliveries = await reader.read(at_most=batch)
            if deliveries:
                await desk.answer(ingest, publisher(one), deliveries)
    finally:
        await reader.close()


async def _record(blobs: Blobs, project: str, schema: ClassSchema, health: Health) -> None:
    """Hold the project's ids to what they meant before."""
    await patiently(health, "object store", lambda: record_schema(blobs, project, schema))


async def _check_input(broker: Broker, stream: str, start: int) -> None:
    """Wait, for somebody to look, when messages that were answered are not in the input any more."""
    last = await broker.last_offset(stream)
    if start > 0 and (last is None or last < start - 1):
        raise Unavailable(
            f"input {stream}",
            f"messages up to offset {start - 1} were answered, but the stream ends at {last}: it was created anew; "
            "bring the old one back, or give the new one another name",
        )
