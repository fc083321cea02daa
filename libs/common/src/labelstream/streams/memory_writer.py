"""Writing a stream of the double anew, as `restoring` wants it."""

from __future__ import annotations

from collections.abc import Sequence

from labelstream.streams.memory import MemoryBroker
from labelstream.streams.padding import padding


class MemoryWriter:
    """The one writer of a stream that is being restored (see restoring.StreamWriter)."""

    def __init__(self, broker: MemoryBroker, stream: str) -> None:
        self._broker = broker
        self._stream = stream

    async def append(self, raws: Sequence[bytes]) -> None:
        """Store messages without a publisher name."""
        for raw in raws:
            self._broker.write_next(self._stream, raw)

    async def skip(self, count: int, until: int) -> None:
        """Take `count` offsets with padding."""
        for _ in range(count):
            self._broker.write_next(self._stream, padding(until))

    async def append_as(self, publisher: str, publishing_id: int, raw: bytes) -> None:
        """Store one message under a publisher's name and id, unless that is stored already."""
        if publishing_id > await self._broker.last_publishing_id(self._stream, publisher):
            self._broker.write_next(self._stream, raw, publisher, publishing_id)

    async def close(self) -> None:
        """Do nothing: there is no connection."""
