"""Follows `annotation-events` for one project, and answers every offset of it once."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import structlog

from augmenter import metrics
from augmenter.batching import Batching
from augmenter.done import Done
from augmenter.handler import SOURCE, Augmenter
from labelstream.errors import Misconfigured, Rejected
from labelstream.events.annotation import Annotation
from labelstream.events.base import ANNOTATION_EVENTS, BATCH_EVENTS
from labelstream.events.batch import BatchAugmented
from labelstream.events.envelope import Envelope
from labelstream.service.health import Health
from labelstream.service.metrics import HANDLED, HANDLING, OFFSET
from labelstream.service.patience import patiently
from labelstream.streams.amqp import decode
from labelstream.streams.journal import Journal
from labelstream.streams.message import Delivery
from labelstream.streams.ports import Broker, Reader
from labelstream.view import AnnotationView


def publisher_name(project: str, recipe: str) -> str:
    """Name the writer: another recipe starts over from the first annotation, under a name of its own."""
    return f"{SOURCE}.{project}.{recipe[:12]}"


@dataclass(frozen=True)
class Pipeline:
    """One project's way from receipts to archives."""

    project: str
    broker: Broker
    augmenter: Augmenter
    view_path: Path
    health: Health

    async def run(self) -> None:
        """Work until cancelled."""
        recipe = self.augmenter.recipe.digest
        publisher = publisher_name(self.project, recipe)
        done = Done(self.project, recipe)
        journal = Journal(self.broker, BATCH_EVENTS, [publisher], done.fold, self.health)
        view = AnnotationView(self.view_path)
        try:
            self.health.waiting(publisher, "reading back what was augmented")
            first = (await journal.open())[publisher]  # publishing ids are the last offset answered + 1
            await self._check(view, first)
            self.health.ready(publisher)

            def content_at(name: str, offset: int) -> Annotation | None:
                entry = view.entry(self.project, name, at=offset)
                return entry.annotation if entry else None

            start = min(first, 0 if view.position is None else view.position + 1)
            reader = self.broker.reader(ANNOTATION_EVENTS, start or "first")
            batching = Batching(self.project, first, self.augmenter.limits, content_at, done)
            try:
                await self._follow(reader, view, batching, journal, publisher)
            finally:
                await reader.close()
        finally:
            await journal.close()
            view.close()

    async def _check(self, view: AnnotationView, first: int) -> None:
        """Compare with the stream that we are about to read; it may have been made anew."""
        await patiently(self.health, "broker", lambda: self.broker.ensure_stream(ANNOTATION_EVENTS))
        last = await patiently(self.health, "broker", lambda: self.broker.last_offset(ANNOTATION_EVENTS))
        end = -1 if last is None else last
        if first - 1 > end:
            raise Misconfigured(
                f"{ANNOTATION_EVENTS} ends at offset {end}, but {BATCH_EVENTS} answers it up to {first - 1}: "
                f"it was made anew or lost messages. Restore it, or remove {BATCH_EVENTS} to augment again"
            )
        if view.position is not None and view.position > end:
            view.reset()

    async def _follow(
        self, reader: Reader, view: AnnotationView, batching: Batching, journal: Journal, publisher: str
    ) -> None:
        first = batching.first
        while True:
            left = batching.closes_in_s(time.monotonic())
            for delivery in await reader.read(wait_s=1.0 if left is None else min(1.0, left)):
                envelope = _envelope(delivery)
                if envelope is not None:
                    view.apply(delivery.offset, envelope)
                if delivery.offset < first:
                    continue  # read for the view alone
                batching.add(delivery.offset, envelope, time.monotonic())
                if batching.is_full:
                    await self._answer(batching, journal, publisher)
            if batching.closes_in_s(time.monotonic()) == 0:
                await self._answer(batching, journal, publisher)
                view.commit()

    async def _answer(self, batching: Batching, journal: Journal, publisher: str) -> None:
        batch = batching.close()
        with HANDLING.labels(ANNOTATION_EVENTS).time():
            envelope = await self.augmenter.handle(batch)
            await journal.append(publisher, [(batch.last + 1, envelope)])
        OFFSET.labels(ANNOTATION_EVENTS).set(batch.last)
        event = envelope.event
        assert isinstance(event, BatchAugmented)  # noqa: S101  # what handle() returns
        HANDLED.labels(ANNOTATION_EVENTS, "augmented").inc(len(event.members))
        HANDLED.labels(ANNOTATION_EVENTS, "left_out").inc(len(event.left_out))
        metrics.VARIANTS.inc(sum(len(member.variants) for member in event.members))
        log = structlog.get_logger()
        for sample in event.left_out:
            log.warning("sample.left_out", project=self.project, name=sample.name, reason=sample.reason)
        log.info(
            "batch.augmented",
            project=self.project,
            first=batch.first,
            last=batch.last,
            samples=len(event.members),
            left_out=len(event.left_out),
        )


def _envelope(delivery: Delivery) -> Envelope | None:
    """Read an event of our own stream; None when its type is newer than we are."""
    try:
        return Envelope.from_message(decode(delivery.raw))
    except Rejected as error:
        raise RuntimeError(f"{delivery.stream} offset {delivery.offset} is not an event of ours: {error}") from error
