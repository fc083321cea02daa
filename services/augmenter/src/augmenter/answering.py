"""Answers batches: erasures first, archives next, then the event that says so."""

from __future__ import annotations

import time
from dataclasses import dataclass

import structlog

from augmenter import metrics
from augmenter.domain import Batch
from augmenter.done import Done
from augmenter.erasing import Eraser
from augmenter.fitting import fitted
from augmenter.handler import Augmenter
from augmenter.store import Store
from labelstream.batches import WholeBatches
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.events.batch import BatchAugmented
from labelstream.events.envelope import Envelope
from labelstream.service.metrics import HANDLED, HANDLING, OFFSET
from labelstream.streams.journal import Journal
from labelstream.streams.lag import Behind

log = structlog.get_logger()


@dataclass(frozen=True)
class Answer:
    """What there is to say of a batch, and since when it is worked on (seconds of the monotonic clock)."""

    batch: Batch
    envelope: Envelope
    since: float


@dataclass(frozen=True)
class Answering:
    """Finds the one answer to each batch, and publishes it."""

    augmenter: Augmenter
    store: Store
    done: Done
    whole: WholeBatches  # what the journal folds into `done`
    journal: Journal
    publisher: str
    behind: Behind

    async def prepare(self, batch: Batch) -> Answer:
        """Do what the batch asks for; return what is to be said of it.

        Several may be prepared at a time. A batch that erases is prepared when everything before it was published.
        """
        since = time.monotonic()
        rewritten = await Eraser(self.store).erase(batch, self.done)
        return Answer(batch, await self.augmenter.handle(batch, rewritten), since)

    async def publish(self, answer: Answer) -> None:
        """Return when the answer is stored and read back; called for one batch after the other."""
        message = await fitted(self.store, answer.envelope)
        await self.journal.append(self.publisher, [(answer.batch.last + 1, message)])
        await self.whole.fetch()
        HANDLING.labels(ANNOTATION_EVENTS).observe(time.monotonic() - answer.since)
        event = answer.envelope.event
        assert isinstance(event, BatchAugmented)  # noqa: S101  # what handle() returns
        self._tell(answer.batch, event)

    def _tell(self, batch: Batch, event: BatchAugmented) -> None:
        OFFSET.labels(ANNOTATION_EVENTS).set(batch.last)
        self.store.health.handled(ANNOTATION_EVENTS, batch.last)
        self.behind.handled(batch.last)
        HANDLED.labels(ANNOTATION_EVENTS, "augmented").inc(len(event.members))
        HANDLED.labels(ANNOTATION_EVENTS, "left_out").inc(len(event.left_out))
        metrics.VARIANTS.inc(sum(len(member.variants) for member in event.members))
        metrics.REWRITTEN.inc(len(event.rewritten))
        for sample in event.left_out:
            metrics.LEFT_OUT.labels(sample.reason.partition(":")[0]).inc()  # as the handler says it: "rule: why"
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
