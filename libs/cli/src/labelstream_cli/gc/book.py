"""What the streams say of one project: a fold over all of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from labelstream.events.annotation import AnnotationErased, AnnotationSettled
from labelstream.events.base import ANNOTATION_EVENTS, Event
from labelstream.events.batch import BatchAugmented
from labelstream.events.envelope import Envelope
from labelstream.events.model import ModelEvent
from labelstream.events.training import TrainingEvent
from labelstream_cli.gc.making import Making


@dataclass
class Shelf:
    """The archives of one recipe."""

    archives: set[str] = field(default_factory=set)  # keys
    coverage: int = -1  # the offset up to which every annotation event is answered
    last_ms: int = 0  # when the recipe was used last


@dataclass
class Book:
    """Everything that the events of one project refer to. What can't be right is a doubt."""

    project: str
    images: set[bytes] = field(default_factory=set)  # digests of what was recorded, and not erased since
    shelves: dict[str, Shelf] = field(default_factory=dict)  # by recipe; the one used last is the last one
    forwards: dict[str, str | None] = field(default_factory=dict)  # rewritten archive → what took its place
    making: Making = field(default_factory=Making)
    reach: dict[str, int] = field(default_factory=dict)  # stream → the highest offset of it that any event names
    doubts: dict[str, None] = field(default_factory=dict)  # in order

    def fold(self, offset: int, envelope: Envelope) -> None:
        """Take one event of any of the streams into account; a batch comes with its lists."""
        event: Event = envelope.event
        if isinstance(event, AnnotationSettled):
            self._settled(offset, event)
        elif isinstance(event, AnnotationErased):
            self.images.difference_update(map(bytes.fromhex, event.images))
        elif isinstance(event, BatchAugmented):
            self._batch(envelope.time_ms, event)
        elif isinstance(event, TrainingEvent | ModelEvent):
            self.making.fold(offset, event)
            for place in self.making.places(event):
                self._reaches(place.stream, place.offset)

    def doubt(self, why: str) -> None:
        """Note why what the streams say of the project can't be trusted."""
        self.doubts[why] = None

    def _settled(self, offset: int, event: AnnotationSettled) -> None:
        for outcome in event.outcomes:  # whatever the outcome: who reads the log again meets the image
            if outcome.annotation is not None:
                self._own(ANNOTATION_EVENTS, offset, outcome.annotation.image.key)
                self.images.add(bytes.fromhex(outcome.annotation.image.sha256))

    def _batch(self, time_ms: int, event: BatchAugmented) -> None:
        self._reaches(event.input.stream, event.input.last)
        shelf = self.shelves.pop(event.recipe, None) or Shelf()
        self.shelves[event.recipe] = shelf
        shelf.last_ms = max(shelf.last_ms, time_ms)
        if event.input.first <= shelf.coverage + 1:
            shelf.coverage = max(shelf.coverage, event.input.last)
        for one in event.rewritten:
            self.forwards[one.archive] = one.by.key if one.by else None
        archives = [event.archive, *event.more_archives] if event.archive else []
        for archive in archives:
            self._own(event.stream, event.input.last, archive.key)
            shelf.archives.add(archive.key)

    def _own(self, stream: str, offset: int, key: str) -> None:
        if not key.startswith(f"{self.project}/"):
            self.doubt(f"{stream} (near {offset}) names {key}, which does not belong to the project {self.project}")

    def _reaches(self, stream: str, offset: int) -> None:
        self.reach[stream] = max(offset, self.reach.get(stream, -1))
