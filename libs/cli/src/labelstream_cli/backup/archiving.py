"""Copies a stream into segments, from where the last backup ended."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field

from labelstream.blobs.ports import Blobs
from labelstream.errors import Rejected, Unavailable
from labelstream.events.envelope import ALSO_ACCEPTED, PREFIX
from labelstream.streams.amqp import decode
from labelstream.streams.journal import PUBLISHER, SEQUENCE
from labelstream.streams.message import Delivery
from labelstream.streams.ports import Broker
from labelstream.values import sha256_hex
from labelstream_cli.backup import segments
from labelstream_cli.backup.book import Segment, StreamBackup, Torn
from labelstream_cli.backup.segments import MOST_BYTES
from labelstream_cli.reaching import PATIENCE_S, Tell, last_offset, not_told, stored
from labelstream_cli.running import CommandFailed

HELD_BYTES = 16 << 20  # so much may wait for what comes until the backup ends, in the place of two small files


@dataclass
class Signatures:
    """The publishers that the messages of our own streams name."""

    stamped: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # name → last publishing id
    sources: set[str] = field(default_factory=set)  # who may be a publisher of this name

    def take(self, delivery: Delivery) -> None:
        """Take note of who wrote a message, if it says so."""
        try:
            said = decode(delivery.raw).properties
        except Rejected:
            return
        name, number = said.get(PUBLISHER), said.get(SEQUENCE)
        if isinstance(name, str) and isinstance(number, int):
            self.stamped[name] = max(self.stamped[name], number)
        source = said.get(f"{PREFIX}source", said.get(f"{ALSO_ACCEPTED}source"))
        if isinstance(source, str):
            self.sources.add(source)


@dataclass
class Archiver:
    """One stream on its way into the backup."""

    files: Blobs
    broker: Broker
    known: StreamBackup  # as far as files of it are written
    signed: Signatures | None = None  # kept for streams that are ours
    tell: Tell = not_told
    dry: bool = False  # write nothing
    written: list[Segment] = field(default_factory=list)  # by this run, found or made
    _held: list[Delivery] = field(default_factory=list)
    _held_bytes: int = 0

    @property
    def next_offset(self) -> int:
        """The first offset that was not read yet."""
        return (self._held[-1].offset if self._held else self.known.end) + 1

    async def begin(self) -> None:
        """Look whether this is the stream of the last backup, and take over what an interrupted one wrote.

        Raises CommandFailed when it is another stream of the same name, Unavailable.
        """
        if self.known.end >= 0:
            await self._compare()
        if not self.dry:
            await self._take_over()

    async def read_to(self, end: int) -> None:
        """Read up to `end`; what is much is written down."""
        if end < self.next_offset:
            return
        async for deliveries in stored(self.broker, self.known.stream, self.next_offset, end=end, tell=self.tell):
            if deliveries and deliveries[0].offset > self.next_offset:
                await self._note_tear(deliveries[0].offset)
            for delivery in deliveries:
                await self._hold(delivery)
        if self._held_bytes > HELD_BYTES:
            await self._write()

    async def finish(self) -> StreamBackup:
        """Write down what is held; return what the backup has of the stream now."""
        await self._write()
        return self.known

    async def _compare(self) -> None:
        stream, end = self.known.stream, self.known.end
        last = await last_offset(self.broker, stream)
        first = None if last is None else await self.broker.first_offset(stream)
        if last is None or last < end:
            raise self._anew(f"it ended at offset {end}, and ends at {last} now")
        if first is None or first > end:
            return  # retention removed what could be compared
        there = await self._message_from(end)
        if there is None or there.offset != end or sha256_hex(there.raw) != self.known.tail_sha256:
            raise self._anew(f"the message at offset {end} is another one now")

    def _anew(self, found: str) -> CommandFailed:
        return CommandFailed(
            f"{self.known.stream} is not the stream of the last backup: {found}. "
            "It was made anew, or restored from an older snapshot: back it up to another, empty place"
        )

    async def _take_over(self) -> None:
        """Go on behind the segments that an interrupted backup wrote and no snapshot names."""
        prefix = f"streams/{self.known.stream}/"
        found = sorted([info.key async for info in self.files.list(prefix)])
        for key in found:
            first = key.removeprefix(prefix).partition("-")[0]
            if not first.isdigit() or int(first) < self.next_offset:
                continue
            left = segments.reread(self.known.stream, key, (await self.files.get(key)).data)
            there = await self._message_from(self.next_offset)
            if left is None or there is None:
                return
            if {one.offset: one.raw for one in left[1]}.get(
                there.offset
            ) != there.raw:  # retention may have cut its head
                return
            self._take(*left)
            for delivery in left[1]:
                self._sign(delivery)

    async def _message_from(self, offset: int) -> Delivery | None:
        """Return the first message from `offset` on; None when there is none."""
        last = await last_offset(self.broker, self.known.stream)
        if last is None or last < offset:
            return None
        reader = self.broker.reader(self.known.stream, offset)
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not (found := await reader.read(at_most=1)):
                    pass
        except TimeoutError:
            raise Unavailable("broker", f"it gave nothing of {self.known.stream} behind {offset}") from None
        finally:
            await reader.close()
        return found[0]

    async def _note_tear(self, first: int) -> None:
        """Say that messages are missing, if the broker's beginning says that retention removed them."""
        begins = await self.broker.first_offset(self.known.stream)
        if self.next_offset > 0 and begins is not None and begins > self.next_offset:
            torn = (*self.known.torn, Torn(first=self.next_offset, last=first - 1))
            self.known = self.known.model_copy(update={"torn": torn})

    async def _hold(self, delivery: Delivery) -> None:
        if self._held and self._held_bytes + len(delivery.raw) > MOST_BYTES:
            await self._write()
        self._held.append(delivery)
        self._held_bytes += len(delivery.raw)
        self._sign(delivery)

    async def _write(self) -> None:
        if self._held:
            packed = segments.pack(self.known.stream, self._held)
            if not self.dry:
                await self.files.put(packed.segment.file, packed.data)
            self._take(packed.segment, self._held)
            self._held, self._held_bytes = [], 0

    def _take(self, segment: Segment, deliveries: list[Delivery]) -> None:
        self.written.append(segment)
        self.known = self.known.model_copy(
            update={
                "segments": (*self.known.segments, segment),
                "end": segment.last,
                "tail_sha256": sha256_hex(deliveries[-1].raw),
            }
        )

    def _sign(self, delivery: Delivery) -> None:
        if self.signed is not None:
            self.signed.take(delivery)
