"""Follows `batch-events` into the index."""

from __future__ import annotations

import asyncio

from labelstream.batches import WholeBatches
from labelstream.blobs.ports import Blobs
from labelstream.events.base import BATCH_EVENTS
from labelstream.service.health import Health
from labelstream.streams.following import follow
from labelstream.streams.ports import Broker
from labelstream_datasets.building.index import BatchIndex


async def follow_batches(broker: Broker, blobs: Blobs, index: BatchIndex, health: Health) -> None:
    """Fold every batch event, from the first one on, until cancelled."""
    whole = WholeBatches(index.fold, blobs, health)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(follow(broker, BATCH_EVENTS, "first", whole, health))
        tasks.create_task(whole.keep_fetching())
