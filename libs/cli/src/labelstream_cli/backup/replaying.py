"""Writes a stream anew, each message at the offset that it had.

All but the last few messages are written without a publisher name: then the broker remembers nothing about the
stream and puts no record of its own between them. Where the original had a hole, or began later, stands padding. The
last messages, as many as the stream had publishers, are each written under the name and the last publishing id of one
of them: from then on the broker drops what it would have dropped before. (It compares ids alone; who wrote which
message, only the message can say.)

Whatever happened before, the stream's end says where to go on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from labelstream.blobs.ports import Blobs
from labelstream.errors import Unavailable
from labelstream.streams.message import Delivery
from labelstream.streams.padding import padding
from labelstream.streams.ports import Broker
from labelstream.streams.restoring import MOST_SKIPPED, StreamWriter
from labelstream_cli.backup import segments
from labelstream_cli.backup.book import StreamBackup
from labelstream_cli.backup.streams import OWN
from labelstream_cli.reaching import PATIENCE_S, Tell, last_offset, not_told, stored
from labelstream_cli.running import CommandFailed

_BATCH_MESSAGES, _BATCH_BYTES = 1000, 8 << 20
_PAUSE_S = 0.5  # between two looks at an end that may still move


@dataclass
class Replay:
    """One stream on its way back."""

    files: Blobs
    broker: Broker
    writer: StreamWriter
    backup: StreamBackup
    tell: Tell = not_told
    _next: int = 0  # the offset at which the next message will stand
    _waiting: list[bytes] = field(default_factory=list)
    _waiting_bytes: int = 0

    @property
    def _names(self) -> list[tuple[str, int]]:
        return sorted((name, number) for name, number in self.backup.publishers.items() if number > 0)

    @property
    def _first_named(self) -> int:
        return self.backup.end + 1 - len(self._names)

    async def run(self) -> None:
        """Write what is missing, then compare all of it. Raises CommandFailed, Damaged, Unavailable."""
        if self._first_named < 0:
            raise CommandFailed(
                f"{self.backup.stream} names more publishers than it has offsets: the backup is damaged"
            )
        await self.broker.ensure_stream(self.backup.stream, self.backup.limits.retention)
        until, is_fresh = time.monotonic() + PATIENCE_S, True
        try:
            while True:
                before = await self._settled_end(is_fresh=is_fresh)
                is_fresh = False
                try:
                    await self._write_from(before + 1)
                    break
                except Unavailable:  # a broker that came back may hold any part of what was sent
                    await self.writer.close()
                    until = time.monotonic() + PATIENCE_S if await self._settled_end() > before else until
                    if time.monotonic() > until:
                        raise
        finally:
            await self.writer.close()
        await self._compare_patiently()

    async def _settled_end(self, *, is_fresh: bool = False) -> int:
        """Return the stream's end once it moves no more: what a lost connection sent may still arrive."""
        until, before = time.monotonic() + PATIENCE_S, -2
        while True:
            try:
                last = await self.broker.last_offset(self.backup.stream)
                end = -1 if last is None else last
                if end in (before, self.backup.end) or (is_fresh and end < 0):
                    return end
                before = end
            except Unavailable:
                if time.monotonic() > until:
                    raise
            await asyncio.sleep(_PAUSE_S)

    async def _write_from(self, start: int) -> None:
        self._next, self._waiting, self._waiting_bytes = start, [], 0
        for segment in self.backup.segments:
            if segment.last < start:
                continue
            for delivery in await segments.fetch(self.files, self.backup.stream, segment):
                if delivery.offset >= start:
                    await self._put(delivery)
            await self._send()
            await self._check_end()
            self.tell(self.backup.stream, self._next, self.backup.end + 1)

    async def _put(self, delivery: Delivery) -> None:
        await self._fill(delivery.offset)
        if self._next >= self._first_named:
            await self._send()
            await self._put_named(delivery.raw)
            return
        self._waiting.append(delivery.raw)
        self._waiting_bytes += len(delivery.raw)
        self._next += 1
        if len(self._waiting) >= _BATCH_MESSAGES or self._waiting_bytes >= _BATCH_BYTES:
            await self._send()

    async def _fill(self, until: int) -> None:
        """Take the offsets up to `until`, where the next message stands."""
        if self._next == until:
            return
        await self._send()
        while (count := min(until, self._first_named) - self._next) > 0:
            taken = min(count, MOST_SKIPPED)
            await self.writer.skip(taken, until)
            self._next += taken
        while self._next < until:
            await self._put_named(padding(until))

    async def _put_named(self, raw: bytes) -> None:
        name, number = self._names[self._next - self._first_named]
        await self.writer.append_as(name, number, raw)
        self._next += 1

    async def _send(self) -> None:
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if waiting:
            await self.writer.append(waiting)

    async def _check_end(self) -> None:
        last = await self.broker.last_offset(self.backup.stream)
        if last != self._next - 1:
            raise CommandFailed(
                f"{self.backup.stream} ends at offset {last}, and not at {self._next - 1}: somebody else writes to it, "
                "or stored an offset in it. Stop all services and producers, remove the streams, and restore again"
            )

    async def _compare_patiently(self) -> None:
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                return await self._compare()
            except Unavailable:
                if time.monotonic() > until:
                    raise
            await asyncio.sleep(_PAUSE_S)

    async def _compare(self) -> None:
        """Read all of it back. Raises CommandFailed when it is not what was backed up."""
        stream = self.backup.stream
        for name, number in self._names:
            there = await self.broker.last_publishing_id(stream, name)
            if there != number:
                raise CommandFailed(f"{stream}: the last publishing id of {name} is {there}, and not {number}")
        wanted = self._archived()
        # The broker removed the beginning again: as it was told, or by a policy, which only inputs may have.
        may_lack = self.backup.limits.max_bytes is not None or stream not in OWN
        async for deliveries in stored(self.broker, stream, end=self.backup.end, tell=self._told_again):
            for found in deliveries:
                one = await anext(wanted, None)
                while may_lack and one is not None and one.offset < found.offset:
                    one = await anext(wanted, None)
                may_lack = False
                if one is None or (one.offset, one.raw) != (found.offset, found.raw):
                    raise self._differs(found.offset)
        if (left := await anext(wanted, None)) is not None:
            raise self._differs(left.offset)

    def _told_again(self, _stream: str, done: int, total: int) -> None:
        self.tell(f"{self.backup.stream}, read back", done, total)

    def _differs(self, offset: int) -> CommandFailed:
        return CommandFailed(
            f"{self.backup.stream} does not hold at offset {offset} what was backed up: somebody else wrote to it. "
            "Stop all services and producers, remove the streams, and restore again"
        )

    async def _archived(self) -> AsyncIterator[Delivery]:
        for segment in self.backup.segments:
            for delivery in await segments.fetch(self.files, self.backup.stream, segment):
                yield delivery


async def holds(broker: Broker, stream: str) -> int:
    """Return how many offsets a stream has; 0 where there is none. Raises Unavailable."""
    last = await last_offset(broker, stream)
    return 0 if last is None else last + 1
