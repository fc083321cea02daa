"""Follows `batch-events` into the index."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from labelstream.batches import WholeBatches
from labelstream.blobs.ports import Blobs
from labelstream.events.base import BATCH_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.service.health import Health
from labelstream.streams.following import follow
from labelstream.streams.ports import Broker
from labelstream_datasets.building.index import BatchIndex


async def follow_batches(
    broker: Broker,
    blobs: Blobs,
    index: BatchIndex,
    health: Health,
    reader: str = "",
    also: Callable[[int, Envelope], None] = lambda *_: None,
) -> None:
    """Fold every batch event, from the first one on, until cancelled. `reader`: who does, for the metrics.

    `also` hears of each, too.
    """

    def fold(offset: int, envelope: Envelope) -> None:
        index.fold(offset, envelope)
        also(offset, envelope)

    whole = WholeBatches(fold, blobs, health)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(follow(broker, BATCH_EVENTS, "first", whole, health, reader=reader))
        tasks.create_task(whole.keep_fetching())
