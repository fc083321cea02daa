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
_REASONS = {
    errno.EACCES: "you have no right to",
    errno.EPERM: "you have no right to",
    errno.EROFS: "its disk can only be read",
    errno.ENOTDIR: "something above it is a file, not a directory",
    errno.EEXIST: "a file lies in its place",
}
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
        if error.errno in _REASONS:
            raise Misconfigured(f"{where} can't be written: {_REASONS[error.errno]}") from error
        raise Misconfigured(f"{where}: {error.strerror or error}") from error


def require_place(path: Path, *, folder: bool = False) -> None:
    """Check that a file, or a folder that may be there, can be made at `path`, before work is done for it.

    Raises Misconfigured.
    """
    there = next(place for place in (path, *path.absolute().parents) if os.path.lexists(place))
    if there != path and not there.is_dir():
        raise Misconfigured(f"{path} can't be made: {there} is a file, not a directory")
    if folder and there == path and not path.is_dir():
        raise Misconfigured(f"{path} is a file, not a directory")
    if not os.access(there, os.W_OK):
        raise Misconfigured(f"{path} can't be written: you have no right to write in {there}")


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
