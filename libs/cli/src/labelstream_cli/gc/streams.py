"""Reads the streams into one book for each project, and on from there; says what can't be trusted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from rstream.exceptions import StreamDoesNotExist

from labelstream.blobs.checked import read_checked
from labelstream.blobs.ports import Blobs
from labelstream.errors import Rejected, Unavailable
from labelstream.events.base import ANNOTATION_EVENTS, BATCH_EVENTS, MODEL_EVENTS, TRAINING_EVENTS
from labelstream.events.batch import BatchAugmented
from labelstream.events.envelope import ALSO_ACCEPTED, PREFIX, Envelope
from labelstream.streams.amqp import decode
from labelstream.streams.message import Delivery, Message
from labelstream.streams.ports import Broker
from labelstream_cli.gc.book import Book
from labelstream_cli.reaching import Tell, not_told, stored

# What refers stands before what is referred to: so the end that is reached covers every offset that an event names.
STREAMS = (MODEL_EVENTS, TRAINING_EVENTS, BATCH_EVENTS, ANNOTATION_EVENTS)
_WRITERS = {
    MODEL_EVENTS: "exporter",
    TRAINING_EVENTS: "trainer",
    BATCH_EVENTS: "augmenter",
    ANNOTATION_EVENTS: "annotation-ingest",
}
# Of a project that was never trained on nobody makes these. What they would tell is which datasets are needed.
_MAY_LACK = (MODEL_EVENTS, TRAINING_EVENTS)


@dataclass
class _Cursor:
    last: int = -1  # offset of the last message that was read
    began_ms: int | None = None  # when the first message was stored
    lacks: bool = False  # there is no such stream, and never was while it was read
    found: bool = False


def none_of(stream: str) -> str:
    """Say that a stream is not there, and how it comes to be."""
    return f"there is no stream {stream}: {_WRITERS[stream]} makes it when it starts"


@dataclass
class Streams:
    """The streams, as far as they were read. `read_on` reads them to their ends, again and again."""

    broker: Broker
    blobs: Blobs
    books: dict[str, Book]
    tell: Tell = not_told
    _cursors: dict[str, _Cursor] = field(default_factory=lambda: {stream: _Cursor() for stream in STREAMS})

    @classmethod
    def of(cls, broker: Broker, blobs: Blobs, projects: Iterable[str], tell: Tell = not_told) -> Streams:
        """Begin with nothing read."""
        return cls(broker, blobs, {project: Book(project) for project in projects}, tell)

    @property
    def began_ms(self) -> dict[str, int | None]:
        """When each stream's first message was stored; None while it is empty."""
        return {stream: cursor.began_ms for stream, cursor in self._cursors.items()}

    @property
    def ends(self) -> dict[str, int]:
        """The last offset that was read of each stream; -1: it is empty."""
        return {stream: cursor.last for stream, cursor in self._cursors.items()}

    @property
    def lacking(self) -> tuple[str, ...]:
        """The streams that do not exist though a project can do without: which datasets are needed is not known."""
        return tuple(stream for stream, cursor in self._cursors.items() if cursor.lacks)

    async def read_on(self) -> None:
        """Read what came since. Raises CommandFailed when an end can't be reached, Unavailable."""
        for stream in STREAMS:
            await self._read(stream, self._cursors[stream])
        for book in self.books.values():
            for stream, offset in book.reach.items():
                end = self._cursors[stream].last if stream in self._cursors else offset
                if offset > end:
                    book.doubt(f"{stream} ends at {end}, but an event speaks of its offset {offset}: it was made anew")

    async def _read(self, stream: str, cursor: _Cursor) -> None:
        if not await self._is_whole(stream, cursor):
            return
        async for deliveries in stored(self.broker, stream, cursor.last + 1 or "first", tell=self.tell):
            for delivery in deliveries:
                if cursor.began_ms is None:
                    cursor.began_ms = _first_stored_ms(delivery)
                await self._take(delivery)
                cursor.last = delivery.offset

    async def _is_whole(self, stream: str, cursor: _Cursor) -> bool:
        """Say whether the stream is there with all that was ever in it; else that is a doubt about every project."""
        try:
            first, last = await self.broker.first_offset(stream), await self.broker.last_offset(stream)
        except Unavailable as error:
            if isinstance(error.__cause__, StreamDoesNotExist):
                cursor.lacks = stream in _MAY_LACK and not cursor.found
                if not cursor.lacks:
                    self._doubt_all(none_of(stream))
                return False
            raise
        cursor.lacks, cursor.found = False, True
        if first:
            self._doubt_all(f"what stood before offset {first} of {stream} was removed: it must have no retention")
            return False
        if cursor.last > (-1 if last is None else last):
            self._doubt_all(f"{stream} was made anew while it was read")
            return False
        return True

    async def _take(self, delivery: Delivery) -> None:
        where = f"offset {delivery.offset} of {delivery.stream}"
        message: Message | None = None
        try:
            message = decode(delivery.raw)
            envelope = Envelope.from_message(message)
        except Rejected as error:
            return self._doubt(message, f"{where} can't be read: {error.reason}")
        if envelope is None:
            kind = message.subject or "unknown"
            return self._doubt(message, f"{where} is newer than this command ({kind}): update it")
        book = self.books.get(envelope.project)
        if book is not None:
            await self._fold(book, delivery.offset, envelope)
        return None

    async def _fold(self, book: Book, offset: int, envelope: Envelope) -> None:
        event = envelope.event
        if isinstance(event, BatchAugmented) and event.lists is not None:
            try:
                packed = await read_checked(self.blobs, event.lists)
                envelope = replace(envelope, event=await asyncio.to_thread(event.with_lists, packed))
            except Rejected as error:
                return book.doubt(f"the lists of offset {offset} of {BATCH_EVENTS} can't be read: {error.reason}")
        return book.fold(offset, envelope)

    def _doubt(self, message: Message | None, why: str) -> None:
        """Doubt the project of an event that is not understood; all of them when it does not say one."""
        said = message.properties if message else {}
        project = said.get(f"{PREFIX}project", said.get(f"{ALSO_ACCEPTED}project"))
        if not isinstance(project, str):
            self._doubt_all(why)
        elif project in self.books:
            self.books[project].doubt(why)

    def _doubt_all(self, why: str) -> None:
        for book in self.books.values():
            book.doubt(why)


def _first_stored_ms(delivery: Delivery) -> int:
    """Return when a message came into being: a stream that was restored from a backup is younger than its messages."""
    try:
        said = decode(delivery.raw).created_ms
    except Rejected:
        said = None
    return delivery.timestamp_ms if said is None else min(said, delivery.timestamp_ms)
