"""Keeps the bytes of refused messages on a stream of limited size and age."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from labelstream.errors import Rejected
from labelstream.parked import INGEST as STREAM
from labelstream.parked import Parked, read_parked, to_park
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.streams.message import Delivery
from labelstream.streams.ports import Broker, Publisher, Reader, Retention
from labelstream.values import Position

__all__ = ["STREAM", "Parking"]


@dataclass
class _Writer:
    """One input's publisher, which is kept, and the last id that is stored under its name."""

    publisher: Publisher
    stored: int


@dataclass
class Parking:
    """Parks messages under the publishing id `input offset + 1`: a retry keeps one copy.

    What a retry alone refuses may lie before what an earlier try parked: it goes by another publisher.
    What is parked is read back by one reader that stays at the stream's end. Others write there too: markers of
    what was replayed or dropped.
    """

    broker: Broker
    health: Health
    _writers: dict[str, _Writer] = field(default_factory=dict)
    _tail: Reader | None = None
    _next: int = 0  # the first offset that `_tail` has not seen

    async def prepare(self, retention: Retention) -> None:
        """Create the stream when it is missing."""
        await patiently(self.health, "broker", lambda: self.broker.ensure_stream(STREAM, retention))

    async def park(self, publisher: str, refused: Sequence[tuple[Delivery, Rejected]]) -> dict[int, Position]:
        """Keep the messages; return where each is kept, by input offset, once they are stored."""
        writer = await self._writer(publisher)
        old = {delivery.offset for delivery, _ in refused if delivery.offset + 1 <= writer.stored}
        places = await self._search(refused[0][0].stream, old)
        new = [(one.offset + 1, one, error) for one, error in refused if one.offset not in old]
        places |= await self._store(writer, new)
        late = [one for one in refused if one[0].offset not in places]
        if late:
            again = await self._writer(f"{publisher}.again")
            places |= await self._store(again, [(n, *one) for n, one in enumerate(late, again.stored + 1)])
        return places

    async def close(self) -> None:
        """Release the connections."""
        for writer in self._writers.values():
            await writer.publisher.close()
        if self._tail is not None:
            await self._tail.close()

    async def _store(self, writer: _Writer, new: Sequence[tuple[int, Delivery, Rejected]]) -> dict[int, Position]:
        """Store messages under the publishing ids given; return where each is kept."""
        if not new:
            return {}
        tail = self._tail or await self._at_the_end()
        await writer.publisher.publish([(number, to_park(delivery, error)) for number, delivery, error in new])
        writer.stored = new[-1][0]
        return await self._read_back(tail, new[0][1].stream, {delivery.offset for _, delivery, _ in new})

    async def _writer(self, name: str) -> _Writer:
        if name not in self._writers:
            stored = await patiently(self.health, "broker", lambda: self.broker.last_publishing_id(STREAM, name))
            self._writers[name] = _Writer(self.broker.publisher(STREAM, name), stored)
        return self._writers[name]

    async def _at_the_end(self) -> Reader:
        """Open the reader of what is parked from now on."""
        end = await patiently(self.health, "broker", lambda: self.broker.last_offset(STREAM))
        self._next = 0 if end is None else end + 1
        self._tail = self.broker.reader(STREAM, self._next)
        return self._tail

    async def _read_back(self, tail: Reader, stream: str, wanted: set[int]) -> dict[int, Position]:
        """Read what was just stored until all `wanted` ones are there."""
        found: dict[int, Position] = {}
        while missing := wanted - found.keys():
            deliveries = await tail.read()
            found |= _places(deliveries, stream, wanted)
            if deliveries:
                self._next = deliveries[-1].offset + 1
            elif await self._nothing_is_ahead():
                await tail.close()
                await self._at_the_end()
                return found | await self._search(stream, missing)
        return found

    async def _nothing_is_ahead(self) -> bool:
        """Say whether all that is stored lies behind the reader.

        The stream may have been deleted, to give it other limits, and created anew since.
        """
        end = await patiently(self.health, "broker", lambda: self.broker.last_offset(STREAM))
        return end is None or end < self._next

    async def _search(self, stream: str, wanted: set[int]) -> dict[int, Position]:
        """Look through the whole stream for messages that are not ahead of the reader."""
        found: dict[int, Position] = {}
        end = await patiently(self.health, "broker", lambda: self.broker.last_offset(STREAM)) if wanted else None
        if end is None:
            return found
        reader = self.broker.reader(STREAM, "first")
        at = -1
        try:
            while wanted - found.keys() and at < end:
                deliveries = await reader.read()
                found |= _places(deliveries, stream, wanted)
                at = deliveries[-1].offset if deliveries else at
        finally:
            await reader.close()
        return found


def _places(deliveries: Sequence[Delivery], stream: str, wanted: set[int]) -> dict[int, Position]:
    """Return where the `wanted` messages of an input stream are parked, as far as they are among `deliveries`."""
    read = (read_parked(delivery) for delivery in deliveries)
    return {
        one.input.offset: one.place
        for one in read
        if isinstance(one, Parked) and one.input.stream == stream and one.input.offset in wanted
    }
