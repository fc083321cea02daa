"""Answers batches: archives first, erasures next, then the event that says so."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from augmenter import metrics
from augmenter.domain import Batch
from augmenter.done import Done
from augmenter.erasing import Eraser
from augmenter.fitting import fitted
from augmenter.handler import Augmenter
from labelstream.batches import WholeBatches
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.events.batch import BatchAugmented
from labelstream.service.metrics import HANDLED, HANDLING, OFFSET
from labelstream.streams.journal import Journal

log = structlog.get_logger()


@dataclass(frozen=True)
class Answering:
    """Publishes the one answer to each batch."""

    augmenter: Augmenter
    eraser: Eraser
    done: Done
    whole: WholeBatches  # what the journal folds into `done`
    journal: Journal
    publisher: str

    async def answer(self, batch: Batch) -> None:
        """Return when the answer is stored and read back."""
        with HANDLING.labels(ANNOTATION_EVENTS).time():
            rewritten = await self.eraser.erase(batch, self.done)
            envelope = await self.augmenter.handle(batch, rewritten)
            message = await fitted(self.augmenter.store, envelope)
            await self.journal.append(self.publisher, [(batch.last + 1, message)])
            await self.whole.fetch()
        event = envelope.event
        assert isinstance(event, BatchAugmented)  # noqa: S101  # what handle() returns
        self._tell(batch, event)

    def _tell(self, batch: Batch, event: BatchAugmented) -> None:
        OFFSET.labels(ANNOTATION_EVENTS).set(batch.last)
        self.augmenter.health.handled(ANNOTATION_EVENTS, batch.last)
        HANDLED.labels(ANNOTATION_EVENTS, "augmented").inc(len(event.members))
        HANDLED.labels(ANNOTATION_EVENTS, "left_out").inc(len(event.left_out))
        metrics.VARIANTS.inc(sum(len(member.variants) for member in event.members))
        metrics.REWRITTEN.inc(len(event.rewritten))
        for sample in event.left_out:
            log.warning("sample.left_out", project=batch.project, name=sample.name, reason=sample.reason)
        log.info(
            "batch.augmented",
            project=batch.project,
            first=batch.first,
            last=batch.last,
            samples=len(event.members),
            left_out=len(event.left_out),
            rewritten=len(event.rewritten),
        )
