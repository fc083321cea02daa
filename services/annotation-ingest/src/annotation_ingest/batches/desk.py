"""Takes messages of the inputs to their stored receipts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from annotation_ingest.batches.attempts import MOST_DEATHS, Attempts
from annotation_ingest.batches.room import Room
from annotation_ingest.batches.telling import Telling
from annotation_ingest.disk import DISK
from annotation_ingest.handler import Ingest, Prepared, Settled
from annotation_ingest.images.pictures import STORE
from annotation_ingest.ports import ParkingLot
from labelstream.blobs.ports import Blobs
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.streams.journal import Journal
from labelstream.streams.message import Delivery
from labelstream.view import AnnotationView

PREPARED_AT_ONCE = 16  # keeps the decoders and the store's connections busy, and bounds what referred images take


@dataclass
class Desk:
    """What all inputs share: one stream of receipts, one view of it, one place for what was refused."""

    journal: Journal
    view: AnnotationView
    parking: ParkingLot
    blobs: Blobs
    health: Health
    room: Room
    attempts: Attempts
    telling: Telling
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _hands: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PREPARED_AT_ONCE))

    async def prepare(self, ingest: Ingest, deliveries: Sequence[Delivery]) -> list[Prepared]:
        """Understand a batch of messages and store their images, many at once."""
        self.attempts.begin(deliveries[-1].stream, deliveries[-1].offset)
        async with asyncio.TaskGroup() as tasks:
            prepared = [tasks.create_task(self._prepare(ingest, delivery)) for delivery in deliveries]
        return [one.result() for one in prepared]

    async def store(self, ingest: Ingest, publisher: str, prepared: Sequence[Prepared]) -> None:
        """Give each message of a batch its receipt, in order; return when all are stored and in the view."""
        began = time.monotonic()
        async with self._turn:  # no other input may decide on a view that lacks what is decided here
            settled = self._settle(ingest, prepared)
            await self._store(ingest, publisher, settled)
        self.telling.settled(settled, time.monotonic() - began)

    async def answer_suspect(self, ingest: Ingest, publisher: str, delivery: Delivery) -> None:
        """Answer a message that was in flight when the process ended; the caller has all the room.

        One that ended it each time is not tried again.
        """
        began = time.monotonic()
        stream, offset = delivery.stream, delivery.offset
        deaths = self.attempts.deaths(stream, offset)
        if deaths >= MOST_DEATHS:
            settled = ingest.killed(delivery, deaths)
            await self._store(ingest, publisher, [settled])
            self.attempts.forget(stream, offset)
            self.telling.gave_up(stream, offset, deaths)
        else:
            with self.attempts.alone(stream, offset):
                prepared = await ingest.prepare(delivery)
                (settled,) = self._settle(ingest, [prepared])
                self.attempts.decided(stream, offset)
                await self._store(ingest, publisher, [settled])
        self.telling.settled([settled], time.monotonic() - began)

    async def _prepare(self, ingest: Ingest, delivery: Delivery) -> Prepared:
        async with self._hands:
            return await ingest.prepare(delivery)

    def _settle(self, ingest: Ingest, prepared: Sequence[Prepared]) -> list[Settled]:
        """Decide the messages one after the other, each on top of those before it."""
        settled = []
        with self.view.foreseeing():
            offset = -1 if self.view.position is None else self.view.position
            for number, one in enumerate(prepared, 1):
                settled.append(ingest.settle(one))
                self.view.apply(offset + number, settled[-1].envelope)
        return settled

    async def _store(self, ingest: Ingest, publisher: str, settled: Sequence[Settled]) -> None:
        """Store receipts, once everything that they speak of is so."""
        for one in settled:
            await self._delete(one.to_delete)
        refused = [(one.delivery, one.rejected) for one in settled if one.rejected is not None]
        places = await self.parking.park(publisher, refused) if refused else {}
        entries = [(one.delivery.offset + 1, one.parked_at(places.get(one.delivery.offset))) for one in settled]
        await self.journal.append(publisher, entries)
        self.view.commit()
        self.health.ready(DISK)
        for one in settled:
            await ingest.follow_up(one)

    async def _delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            await patiently(self.health, STORE, partial(self.blobs.delete, key))
