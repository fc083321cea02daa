"""Wires annotation-ingest together."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace

from annotation_ingest.adapters.decoding import Decoders
from annotation_ingest.adapters.parking import Parking
from annotation_ingest.batches.attempts import Attempts
from annotation_ingest.batches.desk import Desk
from annotation_ingest.batches.room import Room
from annotation_ingest.batches.telling import Telling
from annotation_ingest.decisions.schema_changes import current_schema
from annotation_ingest.decisions.trust import Trust
from annotation_ingest.disk import DISK, outlive_full_disks
from annotation_ingest.handler import Ingest
from annotation_ingest.images.pictures import STORE, Pictures
from annotation_ingest.inputs.following import Follower, Limits
from annotation_ingest.inputs.lineage import Lineage
from annotation_ingest.inputs.pace import Pace
from annotation_ingest.ports import ImageDecoder
from annotation_ingest.settings import IngestGroup, IngestSettings, InputSettings
from annotation_ingest.snapshots import keep_snapshots
from labelstream.blobs.ports import Blobs
from labelstream.blobs.s3 import S3Blobs
from labelstream.classes import ClassSchema
from labelstream.errors import Rejected, Unavailable
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.schemas import load_named_schema
from labelstream.schemas.recorded import record_schema, recorded_schema
from labelstream.service.health import Health
from labelstream.service.http import health_app, serve_http
from labelstream.service.patience import patiently
from labelstream.streams.journal import Journal
from labelstream.streams.ports import Broker
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream.view import AnnotationView
from labelstream.view.foreign import discard_if_foreign
from labelstream.view.snapshots import restore_snapshot

NAME = "annotation-ingest"
BATCHES_IN_HAND = 2  # of each input: one is stored while the next one is prepared


@dataclass(frozen=True)
class World:
    """What the service works with."""

    broker: Broker
    blobs: Blobs
    incoming: Blobs
    decoder: ImageDecoder
    health: Health


async def main(settings: IngestSettings, health: Health) -> None:
    """Run the service against RabbitMQ and S3."""
    broker = RabbitBroker(settings.broker, health, NAME)
    blobs = S3Blobs(settings.store, settings.store.data_bucket, health)
    incoming = S3Blobs(settings.store, settings.store.incoming_bucket, health)
    told = settings.ingest
    decoders = Decoders(told.decoders, told.decode_timeout_s, told.image.max_pixels)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(serve_http(health_app(health), settings.http_host, settings.http_port))
            tasks.create_task(run(settings, health, broker, blobs, incoming, decoders))
    finally:
        decoders.close()
        await broker.close()
        await blobs.close()
        await incoming.close()


async def run(
    settings: IngestSettings, health: Health, broker: Broker, blobs: Blobs, incoming: Blobs, decoder: ImageDecoder
) -> None:
    """Answer every input stream until cancelled; begin anew from the log when a full disk stopped it."""
    world = World(broker, blobs, incoming, decoder, health)
    attempts = Attempts(settings.state_dir)
    if attempts.any_suspects:
        with suppress(Rejected):  # no image, but the decoders are up: starting them is no message's time
            await decoder.decode(b"")
    try:
        await outlive_full_disks(settings.state_dir, health, lambda: _answer_all(settings, world, attempts))
    except asyncio.CancelledError:
        with suppress(Unavailable):  # without the note, what is in flight is taken one by one at the next start
            attempts.stopped()
        raise


async def _answer_all(settings: IngestSettings, world: World, attempts: Attempts) -> None:
    """Answer every input stream, from where the log says."""
    told, health = settings.ingest, world.health
    health.waiting("start", "the view is read from the stream")
    schemas = {one.stream: load_named_schema(one.schema_name) for one in told.inputs}
    file = settings.state_dir / "annotations.sqlite"
    await restore_snapshot(file, world.blobs, health)
    view = AnnotationView(file)
    journal = Journal(world.broker, ANNOTATION_EVENTS, [publisher(one) for one in told.inputs], view.apply, health)
    parking = Parking(world.broker, health)
    try:
        await parking.prepare(told.parking.retention)
        answered = await _read_view(view, journal, world)
        ingests = [_ingest_of(one, schemas[one.stream], told, view, world) for one in told.inputs]
        for ingest in ingests:
            await _record_schema(world, ingest)
        ingests = [await _with_recorded_schema(world, ingest) for ingest in ingests]
        desk = Desk(
            journal=journal,
            view=view,
            parking=parking,
            blobs=world.blobs,
            health=health,
            room=Room(BATCHES_IN_HAND * told.batch_bytes),
            attempts=attempts,
            telling=Telling(health, told.rejections_to_degrade),
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(keep_snapshots(view, file, world.blobs, told.snapshot, health))
            for one, ingest in zip(told.inputs, ingests, strict=True):
                follower = _follower(one, ingest, desk, told, world)
                last = view.last_input(one.stream)
                tasks.create_task(follower.follow(max(answered[publisher(one)], 0 if last is None else last + 1)))
    finally:
        await parking.close()
        await journal.close()
        view.abandon()


def publisher(one: InputSettings) -> str:
    """Return the publisher name of the receipts for an input stream."""
    return f"{NAME}.{one.stream}"


async def _read_view(view: AnnotationView, journal: Journal, world: World) -> dict[str, int]:
    """Bring the view level with the log; return the last publishing id of each publisher."""
    await discard_if_foreign(view, world.broker, ANNOTATION_EVENTS, world.health)
    before = view.position
    answered = await journal.open("first" if before is None else before + 1)
    view.commit()
    if view.position != before:
        world.health.ready(DISK)  # it has just taken something
    return answered


def _ingest_of(
    one: InputSettings, schema: ClassSchema, told: IngestGroup, view: AnnotationView, world: World
) -> Ingest:
    return Ingest(
        trust=Trust(
            stream=one.stream,
            project=one.project,
            class_schema=schema,
            may_validate=one.may_validate,
            may_change_schema=one.may_change_schema,
            may_erase=one.may_erase,
            may_overrule=one.may_overrule,
            image_bytes=one.quota.image_bytes,
        ),
        box_tolerance=told.box_tolerance,
        hold_messages=told.hold_messages,
        pictures=Pictures(
            one.project,
            world.decoder,
            world.blobs,
            world.incoming,
            one.incoming_prefix,
            told.image.max_bytes,
            world.health,
        ),
        view=view,
        blobs=world.blobs,
        health=world.health,
        hash_key=told.producer_hash_key.get_secret_value().encode(),
    )


def _follower(one: InputSettings, ingest: Ingest, desk: Desk, told: IngestGroup, world: World) -> Follower:
    return Follower(
        stream=one.stream,
        publisher=publisher(one),
        ingest=ingest,
        desk=desk,
        broker=world.broker,
        lineage=Lineage(one.stream, world.broker, desk.view, world.health),
        pace=Pace(one.stream, one.quota.messages_per_s, world.health),
        limits=Limits(told.batch, told.batch_bytes, told.check_input_s),
    )


async def _record_schema(world: World, ingest: Ingest) -> None:
    """Hold the project's ids to what they meant before, and the store's copy level with the stream."""
    schema = current_schema(ingest.view, ingest.trust)
    await patiently(world.health, STORE, lambda: record_schema(world.blobs, ingest.trust.project, schema))


async def _with_recorded_schema(world: World, ingest: Ingest) -> Ingest:
    """Let the input know all classes of its project: another input, or settings of before, may have brought more."""
    trust = ingest.trust
    recorded = await patiently(world.health, STORE, lambda: recorded_schema(world.blobs, trust.project))
    if trust.class_schema.extends(recorded):
        return ingest
    return replace(ingest, trust=replace(trust, class_schema=recorded))
