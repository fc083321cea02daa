"""The entries of tar archives, plain or compressed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_LARGEST_READ = 16 << 20  # bytes; a header that asks for more is there to fill the memory
_DEFLATED, _BZIP, _XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00"

TarEntry = tuple[str, Callable[[], IO[bytes]], str | None]  # name, how to open it, why it is refused


@contextmanager
def tar_entries(path: Path, most_bytes: int) -> Iterator[Iterator[TarEntry]]:
    """Open a tar archive; yield its files, links and devices one after another."""
    with _decompressed(path) as stream, tarfile.open(fileobj=_Careful(stream, most_bytes), mode="r:") as archive:
        yield (_entry(archive, member) for member in archive if not member.isdir())


def _entry(archive: tarfile.TarFile, member: tarfile.TarInfo) -> TarEntry:
    return member.name, lambda: _opened(archive, member), _refusal(member)


def _opened(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    file = archive.extractfile(member)
    if file is None:
        raise tarfile.TarError("it has no content")
    return file


def _refusal(member: tarfile.TarInfo) -> str | None:
    if member.issym() or member.islnk():
        return "is a link"
    if not member.isreg():
        return "is no plain file but a device, pipe or socket"
    return None


def _decompressed(path: Path) -> io.BufferedIOBase:
    with path.open("rb") as file:
        start = file.read(6)
    if start.startswith(_DEFLATED):
        return gzip.open(path)
    if start.startswith(_BZIP):
        return bz2.open(path)
    return lzma.open(path) if start.startswith(_XZ) else path.open("rb")


class _Careful(io.BufferedIOBase):
    """A file that is read in pieces only, and not beyond a limit: passing over an entry unpacks it as well."""

    def __init__(self, file: io.BufferedIOBase, most_bytes: int) -> None:
        self._file = file
        self._most_bytes = most_bytes

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= _LARGEST_READ:
            raise tarfile.ReadError("a header is larger than any file name needs")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if offset > self._most_bytes:
            raise tarfile.ReadError(f"it unpacks to more than {self._most_bytes / 1e6:,.0f} MB")
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()
