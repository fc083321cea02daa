"""Keeps an event small enough for a message: its lists go into the store when they are long."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from augmenter.store import Store
from labelstream import keys
from labelstream.events.batch import BatchAugmented
from labelstream.events.envelope import Envelope
from labelstream.values import FileRef, sha256_hex

MOST_BYTES = 800_000  # of a body; a frame of the broker holds 1 MiB


async def fitted(store: Store, envelope: Envelope) -> Envelope:
    """Return the event as it can be published: whole, or with its lists in an object named by their content."""
    event = envelope.event
    assert isinstance(event, BatchAugmented)  # noqa: S101  # what the augmenter says
    packed = await asyncio.to_thread(event.packed_lists)
    if len(packed) <= MOST_BYTES:
        return envelope
    key = keys.batch_lists(envelope.project, sha256_hex(packed))
    stored = await store.create(key, packed)
    return replace(envelope, event=event.without_lists(FileRef.of(key, stored)))
