"""Reads every stream for what it says of one annotation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import msgpack

from labelstream.blobs.checked import read_checked
from labelstream.blobs.ports import Blobs
from labelstream.errors import Rejected
from labelstream.events.base import ANNOTATION_EVENTS, BATCH_EVENTS, MODEL_EVENTS, SERVING_EVENTS, TRAINING_EVENTS
from labelstream.events.batch import BatchAugmented
from labelstream.events.envelope import Envelope
from labelstream.events.training import TrainingProgressed
from labelstream.streams.amqp import decode
from labelstream.streams.ports import Broker
from labelstream_cli.reaching import Tell, not_told, stored
from labelstream_cli.tracing.life import Life
from labelstream_cli.tracing.making import Archives, Models, Serving, Trainings
from labelstream_cli.tracing.manifests import Held, samples_of, stored_datasets
from labelstream_cli.tracing.receipts import take_receipt

MOST_DATASETS = 50


async def trace(
    broker: Broker,
    blobs: Blobs,
    project: str,
    name: str,
    *,
    tell: Tell = not_told,
    most_datasets: int = MOST_DATASETS,
) -> Life:
    """Return the life of an annotation; one that no receipt names has no state."""
    life = Life(project, name)
    names = _any_of(name)
    async for offset, envelope in _events(broker, ANNOTATION_EVENTS, life, tell, names):
        take_receipt(life, offset, envelope)
    if not life.contents:
        return life
    archives = Archives(life)
    async for offset, envelope in _events(broker, BATCH_EVENTS, life, tell, _batches(life)):
        whole = await _whole(life, blobs, envelope)
        if whole is not None:
            archives.take(offset, whole)
    trainings = Trainings(project)
    async for offset, envelope in _events(broker, TRAINING_EVENTS, life, tell):
        trainings.take(offset, envelope)
    held = await _datasets(life, trainings, blobs, tell, most_datasets)
    models = Models(trainings.tell(life, held), set(held))
    async for offset, envelope in _events(broker, MODEL_EVENTS, life, tell):
        models.take(life, offset, envelope)
    serving = Serving()
    async for offset, envelope in _events(broker, SERVING_EVENTS, life, tell):
        serving.take(offset, envelope)
    serving.tell(life)
    life.steps.sort(key=lambda step: step.time_ms)
    return life


async def _whole(life: Life, blobs: Blobs, envelope: Envelope) -> Envelope | None:
    """Return a batch event with its lists; None when they are gone."""
    event = envelope.event
    if not isinstance(event, BatchAugmented) or event.lists is None:
        return envelope
    try:
        packed = await read_checked(blobs, event.lists)
        return replace(envelope, event=await asyncio.to_thread(event.with_lists, packed))
    except Rejected:
        life.malformed += 1
        return None


async def _datasets(life: Life, trainings: Trainings, blobs: Blobs, tell: Tell, most: int) -> dict[str, Held]:
    """Return what each dataset holds of the annotation, up to `most` that may hold it.

    Those that were trained on come first, then those that somebody only built; the newest first.
    """
    trained = {one.dataset.id: one.dataset for one in trainings.requested()}
    built, life.unreadable = await stored_datasets(blobs, life.project, trained)
    may = [one for one in (*trained.values(), *built) if one.cut.offset >= (life.first_offset or 0)]
    life.not_searched = max(0, len(may) - most)
    held: dict[str, Held] = {}
    for number, dataset in enumerate(may[:most], 1):
        try:
            here = await samples_of(blobs, dataset, life.name, life.contents)
        except Rejected:
            life.unreadable.append(dataset.id)
        else:
            if here is not None:
                held[dataset.id] = here
        tell("manifests", number, len(may[:most]))
    life.datasets = list(held)
    life.built = {one: here.told for one, here in held.items() if one not in trained}
    return held


async def _events(
    broker: Broker, stream: str, life: Life, tell: Tell, concerns: Callable[[bytes], bool] = lambda _: True
) -> AsyncIterator[tuple[int, Envelope]]:
    """Yield the project's events whose bytes may concern the annotation; the others, a million perhaps, stay undecoded.

    What can't be read is passed over and counted: its bytes stay in the stream.
    """
    epoch = TrainingProgressed.type.encode()  # many, and nothing in them is asked for
    async for deliveries in stored(broker, stream, tell=tell):
        for delivery in deliveries:
            raw = delivery.raw
            if epoch in raw or not concerns(raw):
                continue
            try:
                envelope = Envelope.from_message(decode(raw))
            except Rejected:
                life.malformed += 1
                continue
            if envelope is not None and envelope.project == life.project:
                yield delivery.offset, envelope


def _any_of(*texts: str) -> Callable[[bytes], bool]:
    """Look for texts as they stand in an event's body."""
    packed = [bytes(msgpack.packb(text)) for text in texts]
    return lambda raw: any(one in raw for one in packed)


def _batches(life: Life) -> Callable[[bytes], bool]:
    """Look for the annotation's images, for lists that lie in the store, and for archives that were rewritten."""
    told = _any_of("lists", *(image for image, _ in life.contents))
    none_rewritten = msgpack.packb("rewritten") + msgpack.packb([])
    return lambda raw: told(raw) or none_rewritten not in raw
