"""A video on its way to a service: read in pieces, and from its beginning again when it has to be sent again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO

PIECE_BYTES = 1 << 20


class Video:
    """A video file, by its path or opened; what stands before an open file's position is not sent."""

    def __init__(self, source: str | os.PathLike[str] | BinaryIO) -> None:
        """Raise OSError for a file that is not there, or that can't be read twice."""
        self._path = Path(source) if isinstance(source, str | os.PathLike) else None
        self._file: BinaryIO | None = None if isinstance(source, str | os.PathLike) else source
        self._start = 0 if self._file is None else self._file.tell()
        self.size_bytes = self._size()

    def pieces(self) -> Iterator[bytes]:
        """Yield the content from its beginning."""
        with self._opened() as file:
            file.seek(self._start)
            while piece := file.read(PIECE_BYTES):
                yield piece

    def _opened(self) -> AbstractContextManager[BinaryIO]:
        if self._path is not None:
            return self._path.open("rb")
        if self._file is None:
            raise ValueError("a video without a file")
        return nullcontext(self._file)

    def _size(self) -> int:
        with self._opened() as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(self._start)
            return end - self._start
