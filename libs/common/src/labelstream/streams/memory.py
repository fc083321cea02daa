"""A stream broker in memory: the double of `rabbitmq`, held to the same contract suite."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from rstream.exceptions import StreamDoesNotExist

from labelstream.errors import Unavailable
from labelstream.streams.amqp import encode_all
from labelstream.streams.message import Delivery, Message
from labelstream.streams.padding import is_padding
from labelstream.streams.ports import Retention, Start

GAP_EVERY = 7  # a broker's own records use up offsets too


def _offset(delivery: Delivery) -> int:
    return delivery.offset


class _Changes:
    """Lets many wait until anything changed."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def tell(self) -> None:
        """Wake everyone who waits now."""
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, timeout_s: float | None = None) -> None:
        """Wait for the next change, or for the timeout."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._event.wait()


@dataclass
class _Stream:
    retention: Retention
    stored: list[Delivery] = field(default_factory=list)
    next_offset: int = 0
    last_ids: dict[str, int] = field(default_factory=dict)

    def append(self, name: str, raw: bytes) -> None:
        self.append_next(name, raw)
        self.next_offset += 0 if len(self.stored) % GAP_EVERY else 1

    def append_next(self, name: str, raw: bytes) -> None:
        self.stored.append(Delivery(name, self.next_offset, raw, int(time.time() * 1000)))
        self.next_offset += 1


class MemoryBroker:
    """Streams that live as long as this object. Nothing is evicted but by `evict`."""

    def __init__(self) -> None:
        self._streams: dict[str, _Stream] = {}
        self._away = False
        self._changes = _Changes()

    @property
    def away(self) -> bool:
        """Whether nobody reaches the broker: publishing waits, reading returns nothing, questions raise."""
        return self._away

    @away.setter
    def away(self, away: bool) -> None:
        self._away = away
        self._changes.tell()

    async def ensure_stream(self, stream: str, retention: Retention | None = Retention()) -> None:  # noqa: B008 -- frozen
        """Create the stream when it is missing."""
        self._check_here()
        self._streams.setdefault(stream, _Stream(retention or Retention()))
        self._changes.tell()

    def reader(self, stream: str, start: Start) -> MemoryReader:
        """Read `stream` from `start`; `next` means what is published after the first `read` began."""
        return MemoryReader(self, stream, start)

    def publisher(self, stream: str, name: str) -> MemoryPublisher:
        """Write `stream` under the publisher name `name`."""
        return MemoryPublisher(self, stream, name)

    async def last_publishing_id(self, stream: str, publisher: str) -> int:
        """Return the highest publishing id stored for `publisher`; 0 when there is none."""
        return self._existing(stream).last_ids.get(publisher, 0)

    async def first_offset(self, stream: str) -> int | None:
        """Return where the stream begins, or None when it is empty."""
        stored = self._existing(stream).stored
        return next((one.offset for one in stored if not is_padding(one.raw)), None)

    async def last_offset(self, stream: str) -> int | None:
        """Return the offset of the last message, or None when the stream is empty."""
        stored = self._existing(stream).stored
        return stored[-1].offset if stored else None

    async def close(self) -> None:
        """Do nothing: there are no connections."""

    def write_raw(self, stream: str, raw: bytes) -> None:
        """Store bytes as a foreign producer would, unchecked and without a publisher name."""
        self._existing(stream).append(stream, raw)
        self._changes.tell()

    def write_next(self, stream: str, raw: bytes, publisher: str = "", publishing_id: int = 0) -> None:
        """Store bytes at the very next offset, under a publisher's name if there is one."""
        there = self._existing(stream)
        if publisher:
            there.last_ids[publisher] = publishing_id
        there.append_next(stream, raw)
        self._changes.tell()

    def delete(self, stream: str) -> None:
        """Remove a stream with all that is in it; it may be created anew."""
        del self._streams[stream]
        self._changes.tell()

    def evict(self, stream: str, before: int) -> None:
        """Remove what lies before an offset, as retention does."""
        stored = self._existing(stream).stored
        del stored[: bisect_left(stored, before, key=_offset)]

    async def store(self, stream: str, publisher: str, messages: Sequence[tuple[int, bytes]]) -> None:
        """Store what is new under the publisher's name, once the broker and the stream are there."""
        while self._away or stream not in self._streams:
            await self._changes.wait()
        there = self._streams[stream]
        for publishing_id, raw in messages:
            if publishing_id > there.last_ids.get(publisher, 0):
                there.last_ids[publisher] = publishing_id
                there.append(stream, raw)
        self._changes.tell()

    async def changed(self, timeout_s: float) -> None:
        """Wait until something may have become readable, or for the timeout."""
        await self._changes.wait(timeout_s)

    def stored(self, stream: str) -> list[Delivery] | None:
        """Return all that is in the stream; None while the broker or the stream is away."""
        return None if self._away or stream not in self._streams else self._streams[stream].stored

    def _check_here(self) -> None:
        if self._away:
            raise Unavailable("broker", "it is away")

    def _existing(self, stream: str) -> _Stream:
        self._check_here()
        if stream not in self._streams:
            raise Unavailable("broker", f"there is no stream {stream}") from StreamDoesNotExist()
        return self._streams[stream]


class MemoryReader:
    """Reads a stream of a `MemoryBroker`."""

    def __init__(self, broker: MemoryBroker, stream: str, start: Start) -> None:
        self._broker = broker
        self._stream = stream
        self._next = start
        self._at: list[Delivery] | None = None  # the stream that we are attached to
        self._closed = False
        self.attached = 0

    async def read(self, at_most: int = 100, wait_s: float = 1.0) -> list[Delivery]:
        """Return the next messages; an empty list when none came within `wait_s` seconds."""
        if self._closed:
            raise RuntimeError(f"the reader of {self._stream} is closed")
        until = time.monotonic() + wait_s
        while not (found := self._take(at_most)) and (left := until - time.monotonic()) > 0:
            await self._broker.changed(left)
        await asyncio.sleep(0)
        return found

    async def close(self) -> None:
        """Stop reading."""
        self._closed = True

    def _take(self, at_most: int) -> list[Delivery]:
        stored = self._attach()
        if stored is None:
            return []
        if self._next == "next":
            self._next = stored[-1].offset + 1 if stored else "first"
        at = 0 if self._next == "first" else bisect_left(stored, self._next, key=_offset)
        while taken := stored[at : at + at_most]:
            at, self._next = at + len(taken), taken[-1].offset + 1
            if found := [one for one in taken if not is_padding(one.raw)]:
                return found
        return []

    def _attach(self) -> list[Delivery] | None:
        """Return the stream's messages; one that was away or is another since counts as attached anew."""
        stored = self._broker.stored(self._stream)
        if stored is not None and stored is not self._at:
            self.attached += 1
        self._at = stored
        return stored


class MemoryPublisher:
    """Writes a stream of a `MemoryBroker`."""

    def __init__(self, broker: MemoryBroker, stream: str, name: str) -> None:
        self.name = name
        self._broker = broker
        self._stream = stream

    async def publish(self, messages: Sequence[tuple[int, Message]]) -> None:
        """Store messages under strictly rising publishing ids; wait while the broker is away."""
        await self._broker.store(self._stream, self.name, encode_all(messages))

    async def close(self) -> None:
        """Do nothing: there is no connection."""
