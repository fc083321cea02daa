"""Large blocks on our side of age, which itself asks for 8 KiB at once: fewer calls, each worth its cost."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

BLOCK = 128 << 10  # bytes


class Source(Protocol):
    """What can be read in pieces."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes; none at the end."""
        ...


class Sink(Protocol):
    """What can be written in pieces."""

    def write(self, data: bytes, /) -> int:
        """Take `data`."""
        ...

    def flush(self) -> None:
        """Pass on what was taken."""
        ...


class Blocks(io.RawIOBase):
    """Reads a source in blocks; remembers the first one."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.first = b""
        self.ended = False

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read as much as there is room for, or less."""
        data = self._source.read(len(buffer))
        self.first = self.first or data
        self.ended = not data
        buffer[: len(data)] = data
        return len(data)


class _Taken(io.RawIOBase):
    """Hands blocks to a sink, as long as it is wanted."""

    def __init__(self, sink: Sink) -> None:
        self._sink: Sink | None = sink

    def writable(self) -> bool:
        """Say that it can be written to."""
        return True

    def write(self, data: Any) -> int:
        """Hand a block on."""
        if self._sink is not None:
            self._sink.write(bytes(data))
        return len(data)

    def leave(self) -> None:
        """Hand nothing on any more."""
        self._sink = None


def reading(blocks: Blocks) -> io.BufferedReader:
    """Return what age can read."""
    return io.BufferedReader(blocks, BLOCK)


@contextmanager
def writing(sink: Sink) -> Iterator[io.BufferedWriter[Any]]:
    """Give what age can write to; when all went well, the sink has everything in the end."""
    taken = _Taken(sink)
    writer = io.BufferedWriter(taken, BLOCK)
    try:
        yield writer
        writer.flush()
        sink.flush()
    finally:
        taken.leave()  # what is left in the buffer after an error is nobody's
