"""Follows `annotation-events` for one project, and answers every offset of it once."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from augmenter.answering import Answering
from augmenter.batching import Batching, ContentAt, LabelsOf, ModesAt
from augmenter.done import Done
from augmenter.handler import SOURCE, Augmenter
from augmenter.line import Line
from augmenter.lost import hold_archives, refuse_lost_archives
from augmenter.metrics import COLLECTED, introduce
from augmenter.modes import schema_modes
from augmenter.store import Store
from labelstream.batches import WholeBatches
from labelstream.errors import Misconfigured, Rejected
from labelstream.events.annotation import Annotation
from labelstream.events.base import ANNOTATION_EVENTS, BATCH_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.streams.amqp import decode
from labelstream.streams.journal import Journal
from labelstream.streams.lag import Behind, reading
from labelstream.streams.message import Delivery
from labelstream.streams.ports import Broker
from labelstream.view import AnnotationView

BUSY_PAUSE_S = 0.1


def publisher_name(project: str, recipe: str) -> str:
    """Name the writer: another recipe starts over from the first annotation, under a name of its own."""
    return f"{SOURCE}.{project}.{recipe[:12]}"


@dataclass(frozen=True)
class Pipeline:
    """One project's way from receipts to archives."""

    project: str
    broker: Broker
    augmenter: Augmenter
    store: Store
    view_path: Path
    batches_ahead: int = 2  # under way at a time

    @property
    def health(self) -> Health:
        """What waits for the broker and the store."""
        return self.store.health

    async def run(self) -> None:
        """Work until cancelled."""
        introduce(self.project)
        recipe = self.augmenter.recipe
        publisher = publisher_name(self.project, recipe.digest)
        done = Done(self.project, recipe.digest)
        whole = WholeBatches(done.fold, self.store.blobs, self.health)
        journal = Journal(self.broker, BATCH_EVENTS, [publisher], whole, self.health)
        view = AnnotationView(self.view_path)
        try:
            self.health.waiting(publisher, "reading back what was augmented")
            first = (await journal.open())[publisher]  # publishing ids are the last offset answered + 1
            await whole.fetch()
            await hold_archives(self.store, self.project, recipe.digest)  # before we look: gc may run
            await refuse_lost_archives(self.store, self.project, done)
            await self._catch_up(view, first)
            modes = await self._modes(view)
            self.health.ready(publisher)
            batching = Batching(
                self.project, first, self.augmenter.limits, self._content_of(view), done, modes, self._labels_of(view)
            )
            reader = f"{SOURCE}.{self.project}"
            async with reading(self.broker, ANNOTATION_EVENTS, reader) as behind, asyncio.TaskGroup() as tasks:
                answering = Answering(self.augmenter, self.store, done, whole, journal, publisher, behind)
                await self._follow(view, batching, Line(answering, tasks, self.batches_ahead), behind)
        finally:
            await journal.close()
            view.close()

    async def _modes(self, view: AnnotationView) -> ModesAt:
        if not self.augmenter.recipe.follow_modes:
            return lambda _: {}
        return await schema_modes(self.project, view, self.store.blobs, self.health)

    def _content_of(self, view: AnnotationView) -> ContentAt:
        def content_at(name: str, offset: int) -> Annotation | None:
            entry = view.entry(self.project, name, at=offset)
            if entry is None and view.position == offset:
                raise RuntimeError(f"{ANNOTATION_EVENTS} offset {offset} validates {name!r}, which was never recorded")
            return entry.annotation if entry else None  # None: the view has read on, and knows that it was erased

        return content_at

    def _labels_of(self, view: AnnotationView) -> LabelsOf:
        return lambda image: view.labels_of(self.project, image)

    async def _catch_up(self, view: AnnotationView, first: int) -> None:
        """Read the view up to the stream's end, so that what was erased is known before anything is augmented."""
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
        at = -1 if view.position is None else view.position
        if at == end:
            return
        reader = self.broker.reader(ANNOTATION_EVENTS, at + 1 or "first")
        try:
            while at < end:
                for delivery in await reader.read():
                    _apply(view, delivery)
                    at = delivery.offset
        finally:
            await reader.close()
        view.commit()

    async def _follow(self, view: AnnotationView, batching: Batching, line: Line, behind: Behind) -> None:
        behind.begin(batching.first)
        reader = self.broker.reader(ANNOTATION_EVENTS, batching.first or "first")
        try:
            while True:
                deliveries = await reader.read(wait_s=self._wait_s(batching, line))
                behind.read(deliveries)
                for delivery in deliveries:
                    envelope = _apply(view, delivery)
                    if line.holds(batching.validated(delivery.offset, envelope)):
                        await line.drain()  # so that whether it is done already does not hang on how fast we are
                    batching.add(delivery.offset, envelope, time.monotonic())
                    if batching.is_full:
                        await line.put(batching.close())
                if line.has_room and batching.closes_in_s(time.monotonic()) == 0:
                    await line.put(batching.close())
                    view.commit()
                COLLECTED.labels(self.project).set(len(batching))
        finally:
            await reader.close()

    def _wait_s(self, batching: Batching, line: Line) -> float:
        """Return how long to wait for events; a batch that is old, but must wait, goes on collecting."""
        left = batching.closes_in_s(time.monotonic())
        return 1.0 if left is None else min(1.0, left if line.has_room else max(left, BUSY_PAUSE_S))


def _apply(view: AnnotationView, delivery: Delivery) -> Envelope | None:
    """Read an event of our own stream into the view; None when its type is newer than we are."""
    try:
        envelope = Envelope.from_message(decode(delivery.raw))
    except Rejected as error:
        raise RuntimeError(f"{delivery.stream} offset {delivery.offset} is not an event of ours: {error}") from error
    if envelope is not None:
        view.apply(delivery.offset, envelope)
    return envelope
