"""Takes batches of messages from an input stream to their stored receipts; one batch is in flight."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import get_args

import structlog

from annotation_ingest.handler import Ingest, Prepared, Settled
from annotation_ingest.ports import ParkingLot
from labelstream.events.annotation import AnnotationSettled, OutcomeKind
from labelstream.service import metrics
from labelstream.service.health import Health
from labelstream.streams.journal import Journal
from labelstream.streams.message import Delivery
from labelstream.view import AnnotationView

log = structlog.get_logger()


@dataclass
class Desk:
    """What all inputs share: one stream of receipts, one view of it, one place for what was refused."""

    journal: Journal
    view: AnnotationView
    parking: ParkingLot
    health: Health
    rejections_to_degrade: int = 20
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _refused_in_a_row: dict[str, int] = field(default_factory=dict)

    def introduce(self, stream: str) -> None:
        """Begin the stream's counters at zero, so that what is rare can be seen to rise."""
        for outcome in get_args(OutcomeKind):
            metrics.HANDLED.labels(stream, outcome)

    async def answer(self, ingest: Ingest, publisher: str, deliveries: Sequence[Delivery]) -> None:
        """Give each message of a batch its receipt, in order; return when all are stored and in the view."""
        began = time.monotonic()
        prepared = await asyncio.gather(*(ingest.prepare(delivery) for delivery in deliveries))
        async with self._turn:  # no other input may decide on a view that lacks what is decided here
            settled = self._settle(ingest, prepared)
            refused = [(one.delivery, one.rejected) for one in settled if one.rejected is not None]
            places = await self.parking.park(publisher, refused) if refused else {}
            entries = [(one.delivery.offset + 1, one.parked_at(places.get(one.delivery.offset))) for one in settled]
            await self.journal.append(publisher, entries)
            self.view.commit()
        self._tell(settled, time.monotonic() - began)

    def _settle(self, ingest: Ingest, prepared: Sequence[Prepared]) -> list[Settled]:
        """Decide the messages one after the other, each on top of those before it."""
        settled = []
        with self.view.tentative():
            offset = -1 if self.view.position is None else self.view.position
            for number, one in enumerate(prepared, 1):
                settled.append(ingest.settle(one, self.view))
                self.view.apply(offset + number, settled[-1].envelope)
        return settled

    def _tell(self, settled: Sequence[Settled], seconds: float) -> None:
        stream = settled[-1].delivery.stream
        metrics.HANDLING.labels(stream).observe(seconds)
        metrics.OFFSET.labels(stream).set(settled[-1].delivery.offset)
        for one in settled:
            event = one.envelope.event
            if isinstance(event, AnnotationSettled):
                for outcome in event.outcomes:
                    metrics.HANDLED.labels(stream, outcome.outcome).inc()
            self._watch(one)

    def _watch(self, one: Settled) -> None:
        """Raise `degraded` while nothing but refusals comes from an input."""
        stream = one.delivery.stream
        if one.rejected is None:
            self._refused_in_a_row[stream] = 0
            return self.health.degraded(f"input {stream}", None)
        log.warning(
            "message.rejected",
            stream=stream,
            offset=one.delivery.offset,
            rule=one.rejected.rule,
            reason=one.rejected.reason,
        )
        in_a_row = self._refused_in_a_row[stream] = self._refused_in_a_row.get(stream, 0) + 1
        if in_a_row >= self.rejections_to_degrade:
            self.health.degraded(
                f"input {stream}", f"{in_a_row} messages in a row were rejected, the last one by {one.rejected.rule}"
            )
        return None
