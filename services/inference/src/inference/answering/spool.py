"""What a long request sends: in memory up to a size, then in a file without a name, which ends with its use."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, BinaryIO

from inference.answering.workers import Busy
from labelstream.errors import Rejected

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

RETRY_AFTER_S = 60
IN_MEMORY = 1 << 20  # bytes; also how much is written to the disk at once


class NoSpace(Busy):
    """What is uploaded can't be kept."""

    rule = "server.no_space"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the disk for uploads takes no more: {reason}", RETRY_AFTER_S)


class Spool:
    """Bytes that are only added to. Several threads may read; after `close` a read is refused, whoever asks."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._newest = bytearray()  # what is not in the file yet
        self._file: BinaryIO | None = None
        self._written = 0
        self._closed = False
        self._lock = threading.Lock()

    @property
    def size_bytes(self) -> int:
        """How much has been added."""
        return self._written + len(self._newest)

    def write(self, data: bytes, /) -> None:
        """Add bytes; they stay in memory until `flush`."""
        self._newest += data

    async def take(self, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """Pass on what comes, and move what its receiver wrote here to the disk once it is much. Raises NoSpace."""
        async for chunk in chunks:
            yield chunk
            if len(self._newest) > IN_MEMORY:
                await asyncio.to_thread(self.flush)

    def flush(self) -> None:
        """Move everything to the file. Raises NoSpace."""
        try:
            with self._lock:
                if self._closed:
                    return
                self._file = self._file or self._new_file()
                self._file.write(self._newest)
                self._written += len(self._newest)
                self._newest.clear()
        except OSError as error:
            raise NoSpace(str(error)) from error

    def read(self, offset: int, size_bytes: int) -> bytes:
        """Return so many bytes, or those that there are. Raises Rejected once it is closed."""
        with self._lock:
            if self._closed:
                raise Rejected(
                    "request.malformed", "the request ended before this part of it was read", "Send it again."
                )
            if self._file is None:
                return bytes(self._newest[offset : offset + size_bytes])
            pieces = []
            while size_bytes > 0 and (piece := os.pread(self._file.fileno(), size_bytes, offset)):
                pieces.append(piece)
                offset, size_bytes = offset + len(piece), size_bytes - len(piece)
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def fileno(self) -> int:
        """Return the file's descriptor, with everything in it. Raises NoSpace."""
        self.flush()
        if self._file is None:
            raise NoSpace("the request has ended")
        return self._file.fileno()

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._closed = True
            self._newest = bytearray()
            if self._file is not None:
                self._file.close()

    def _new_file(self) -> BinaryIO:
        if self._directory is not None:
            self._directory.mkdir(parents=True, exist_ok=True)
        return TemporaryFile(dir=self._directory, buffering=0)


class SpoolFile(io.RawIOBase):
    """A spool as a file to read, with a position of its own."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._position = 0

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it has a position."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._spool.size_bytes}[whence]
        if base + offset < 0:
            raise OSError(errno.EINVAL, "there is nothing before the start")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read the next bytes."""
        target = memoryview(buffer).cast("B")
        data = self._spool.read(self._position, len(target))
        target[: len(data)] = data
        self._position += len(data)
        return len(data)
