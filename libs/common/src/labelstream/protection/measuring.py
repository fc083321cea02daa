"""Streams that know how much went through them, and its digest."""

from __future__ import annotations

import hashlib
from typing import BinaryIO

BLOCK = 1 << 20  # bytes read at once


class Measured:
    """A binary stream, one way, with the size and SHA-256 of what passed."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    def read(self, size: int = -1) -> bytes:
        """Read from the stream below."""
        data = self._stream.read(size)
        self._count(data)
        return data

    def write(self, data: bytes) -> int:
        """Write to the stream below."""
        self._count(data)
        return self._stream.write(data)

    def flush(self) -> None:
        """Flush the stream below."""
        self._stream.flush()

    def drain(self) -> None:
        """Read what is left, for its size and digest."""
        while self.read(BLOCK):
            pass

    @property
    def sha256(self) -> str:
        """The digest of what passed so far, in hexadecimal."""
        return self._digest.hexdigest()

    def _count(self, data: bytes) -> None:
        self._digest.update(data)
        self.size_bytes += len(data)
