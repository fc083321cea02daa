"""Writing files, and saying clearly when that fails."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labelstream.errors import Misconfigured, Rejected

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


@contextmanager
def writing(path: Path, hint: str) -> Iterator[None]:
    """Translate what the disk refuses while `path` is written; `hint` says what to do when it is full.

    Raises Rejected (`disk.full`) or Misconfigured.
    """
    try:
        yield
    except OSError as error:
        where = error.filename or path
        if error.errno in _FULL:
            raise Rejected("disk.full", f"{where} can't be written: {_room(path)}", hint) from error
        raise Misconfigured(f"{where}: {error.strerror or error}") from error


def write_file(path: str, content: bytes | memoryview) -> None:
    """Write a file, over an older one: one of very many small ones, so without what `open` does besides."""
    file = os.open(path, _FLAGS, 0o666)
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(file, left) :]
    finally:
        os.close(file)


def _room(path: Path) -> str:
    there = next(place for place in (path, *path.absolute().parents) if place.exists())
    return f"the disk is full ({shutil.disk_usage(there).free / 1e6:,.0f} MB free)"
