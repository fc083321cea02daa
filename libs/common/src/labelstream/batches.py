"""Batch events, whole and in order: the lists of a long one lie in the store."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import structlog

from labelstream.blobs.checked import read_checked
from labelstream.blobs.ports import Blobs
from labelstream.errors import Rejected
from labelstream.events.base import BATCH_EVENTS
from labelstream.events.batch import BatchAugmented
from labelstream.events.envelope import Envelope
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.values import FileRef

log = structlog.get_logger()

Fold = Callable[[int, Envelope], None]


@dataclass
class WholeBatches:
    """Stands before a fold of `batch-events`: fetches what a long event left in the store, and keeps the order.

    Call it with each event; `fetch` folds what had to wait.
    """

    fold: Fold
    blobs: Blobs
    health: Health
    _waiting: deque[tuple[int, Envelope]] = field(default_factory=deque)
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, offset: int, envelope: Envelope) -> None:
        """Fold an event at once, unless it or one before it has lists to be fetched."""
        if self._waiting or _lists(envelope) is not None:
            self._waiting.append((offset, envelope))
            self._more.set()
        else:
            self.fold(offset, envelope)

    async def fetch(self) -> None:
        """Fold everything that waits; an event whose lists are gone is passed over and shown as degraded."""
        while self._waiting:
            offset, envelope = self._waiting[0]
            try:
                whole = await self._whole(envelope)
            except Rejected as error:
                log.error("event.rejected", stream=BATCH_EVENTS, offset=offset, reason=str(error))
                self.health.degraded(BATCH_EVENTS, f"offset {offset}: {error}")
            else:
                self.fold(offset, whole)
            self._waiting.popleft()

    async def keep_fetching(self) -> None:
        """Fetch whenever something waits, until cancelled."""
        while True:
            await self._more.wait()
            self._more.clear()
            await self.fetch()

    async def _whole(self, envelope: Envelope) -> Envelope:
        file, event = _lists(envelope), envelope.event
        if file is None or not isinstance(event, BatchAugmented):
            return envelope
        packed = await patiently(self.health, "object store", lambda: read_checked(self.blobs, file))
        return replace(envelope, event=await asyncio.to_thread(event.with_lists, packed))


def _lists(envelope: Envelope) -> FileRef | None:
    event = envelope.event
    return event.lists if isinstance(event, BatchAugmented) else None
