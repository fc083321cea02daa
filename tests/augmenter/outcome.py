"""What a run of the augmenter came to: its archives, and the dataset that they make."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from augmenter.adapters.pool import RenderPool
from augmenter.domain import Limits
from augmenter.handler import Augmenter
from augmenter.making import Workshop
from augmenter.pipeline import Pipeline
from augmenter.recipe import load_recipe
from augmenter.room import Room
from augmenter.store import Store
from labelstream import keys
from labelstream.blobs.memory import MemoryBlobs
from labelstream.blobs.ports import Blobs
from labelstream.errors import Unavailable
from labelstream.events.base import ANNOTATION_EVENTS, BATCH_EVENTS
from labelstream.events.batch import BatchAugmented
from labelstream.events.envelope import Envelope
from labelstream.service.health import Health
from labelstream.streams.amqp import decode
from labelstream.streams.memory import MemoryBroker
from labelstream.streams.ports import Broker
from labelstream.values import sha256_hex
from labelstream.view import AnnotationView
from labelstream_datasets.building.build import DatasetPlan, build
from labelstream_datasets.building.index import BatchIndex

from .material import PROJECT, SCHEMA, Material

RECIPE = load_recipe("default")
PATIENCE_S = 900


@dataclass(frozen=True)
class Outcome:
    """Equal when the runs made the same."""

    dataset: str
    archives: dict[str, str]  # key → digest of its bytes
    batches: list[list[str]]  # the names of each
    left_out: list[tuple[str, str]]  # name and rule


async def outcome(broker: Broker, blobs: Blobs, path: Path) -> Outcome:
    """Read back what a run came to; `path` is where a view may be made."""
    view, index = AnnotationView(path), BatchIndex()
    cut = -1
    for cut, envelope in await everything_in(broker, ANNOTATION_EVENTS):  # the last one is the cut
        view.apply(cut, envelope)
    batches = await everything_in(broker, BATCH_EVENTS)
    for offset, envelope in batches:
        index.fold(offset, envelope)
    plan = DatasetPlan(PROJECT, cut, RECIPE.digest, SCHEMA)
    dataset = (await build(view, index, plan)).description.id
    view.close()
    tars = [info.key async for info in blobs.list(keys.archives(PROJECT)) if info.key.endswith(".tar")]
    events = [envelope.event for _, envelope in batches if isinstance(envelope.event, BatchAugmented)]
    return Outcome(
        dataset,
        {key: sha256_hex((await blobs.get(key)).data) for key in tars},
        [[member.name for member in event.members] for event in events],
        [(one.name, one.reason.partition(":")[0]) for event in events for one in event.left_out],
    )


async def undisturbed(material: Material, batch_count: int, folder: Path) -> Outcome:
    """Return what one process comes to that nobody disturbs, one batch after the other."""
    broker, blobs = MemoryBroker(), MemoryBlobs()
    await material.write(broker, blobs)
    store = Store(blobs, Health())
    with RenderPool(1) as pool:
        augmenter = Augmenter(Workshop(store, pool, Room(1 << 30)), RECIPE, Limits(batch_count, age_s=3600))
        pipeline = Pipeline(PROJECT, broker, augmenter, store, folder / "undisturbed.sqlite", batches_ahead=1)
        serving = asyncio.create_task(pipeline.run())
        while not serving.done() and not await is_over(broker):
            await broker.changed(0.2)
        serving.cancel()
        await asyncio.wait([serving])
    return await outcome(broker, blobs, folder / "undisturbed-again.sqlite")


async def is_over(broker: Broker) -> bool:
    """Say whether the last event is answered."""
    batches = await everything_in(broker, BATCH_EVENTS)
    return bool(batches) and bool(getattr(batches[-1][1].event, "erased_images", ()))


async def answered(broker: Broker) -> int:
    """Return how many batches are answered."""
    try:
        last = await broker.last_offset(BATCH_EVENTS)
    except Unavailable:  # nobody made the stream yet
        return 0
    return 0 if last is None else last + 1


async def until_answered(broker: Broker, count: int) -> None:
    """Wait until so many batches are answered."""
    async with asyncio.timeout(PATIENCE_S):
        while await answered(broker) < count:  # noqa: ASYNC110  # nothing here could set an event
            await asyncio.sleep(0.02)


async def everything_in(broker: Broker, stream: str) -> list[tuple[int, Envelope]]:
    """Read a stream of ours from its first event to its last."""
    try:
        last = await broker.last_offset(stream)
    except Unavailable:
        return []
    found: list[tuple[int, Envelope]] = []
    reader = broker.reader(stream, "first")
    while last is not None and (not found or found[-1][0] < last):
        for delivery in await reader.read(at_most=1000):
            envelope = Envelope.from_message(decode(delivery.raw))
            assert envelope is not None
            found.append((delivery.offset, envelope))
    await reader.close()
    return found
