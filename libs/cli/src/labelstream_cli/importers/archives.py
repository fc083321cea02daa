"""Unpacking zip and tar archives that strangers made: nothing outside the directory, no more than the limits."""

from __future__ import annotations

import os
import re
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import IO

from labelstream.errors import Misconfigured
from labelstream_cli.importers.files import SUFFIXES, VIDEO_SUFFIXES
from labelstream_cli.importers.model import Problem
from labelstream_cli.importers.tars import TAR_SUFFIXES, tar_entries

ZIP_SUFFIXES = (".zip",)
NEEDED = SUFFIXES | VIDEO_SUFFIXES | {".txt", ".xml", ".json", ".yaml", ".yml", ".csv", ".names"}
_NESTED = (*ZIP_SUFFIXES, *TAR_SUFFIXES, ".7z", ".rar")
_PIECE = 1 << 20  # bytes copied at once
_TORN = (tarfile.TarError, zlib.error, LZMAError, EOFError)
_DAMAGED = (zipfile.BadZipFile, *_TORN, NotImplementedError, RuntimeError)  # the last two: methods that are not known
_DRIVE = re.compile(r"^[A-Za-z]:")
_ITSELF = "If you trust it, unpack it yourself and push the folder"


@dataclass(frozen=True)
class Limits:
    """How much an archive may hold. Counted while unpacking: what its headers say is not relied on."""

    entries: int = 1_000_000
    size_bytes: int = 64 << 30
    ratio: int = 200  # unpacked to packed; photos and videos hardly shrink, label files about ten times
    ratio_from_bytes: int = 64 << 20  # below, a ratio says nothing: an empty image shrinks a thousand times
    spare_bytes: int = 512 << 20  # left free on the disk

    def most_bytes(self, packed_bytes: int) -> int:
        """Return what an archive of this size may unpack to."""
        return min(self.size_bytes, max(self.ratio * packed_bytes, self.ratio_from_bytes))


LIMITS = Limits()


@dataclass(frozen=True)
class Entry:
    """A file in an archive, not looked at yet."""

    name: str  # as the archive has it
    open: Callable[[], IO[bytes]]
    refusal: str | None = None  # why it can't be a plain file of ours, as the archive's own form tells


def is_archive(path: Path) -> bool:
    """Say whether a path's name is that of an archive which can be unpacked."""
    return path.name.lower().endswith((*ZIP_SUFFIXES, *TAR_SUFFIXES))


@contextmanager
def unpacked(path: Path, limits: Limits = LIMITS) -> Iterator[tuple[Path, tuple[Problem, ...]]]:
    """Unpack an archive to a directory that goes when the block ends; yield it, and what was left out.

    Raises Misconfigured when the archive can't be opened or goes beyond the limits.
    """
    with tempfile.TemporaryDirectory(prefix="labelstream-push-") as directory:
        root = Path(directory)
        yield root, unpack(path, root, limits)


def unpack(path: Path, root: Path, limits: Limits = LIMITS) -> tuple[Problem, ...]:
    """Unpack an archive's images, videos and labels below `root`; return what was left out. Raises Misconfigured."""
    try:
        unpacking = _Unpacking(path, root, limits, limits.most_bytes(path.stat().st_size))
        with _entries(path, unpacking.most_bytes) as entries:
            for entry in entries:
                unpacking.take(entry)
    except OSError as error:
        raise Misconfigured(f"{path} can't be unpacked: {error.strerror or error}") from error
    except (zipfile.BadZipFile, *_TORN) as error:
        raise Misconfigured(f"{path} is no archive that can be read, or is torn: {error}") from error
    return tuple(unpacking.problems)


@contextmanager
def _entries(path: Path, most_bytes: int) -> Iterator[Iterator[Entry]]:
    if path.name.lower().endswith(ZIP_SUFFIXES):
        with zipfile.ZipFile(path) as archive:
            yield (_zip_entry(archive, info) for info in archive.infolist() if not info.is_dir())
    else:
        with tar_entries(path, most_bytes) as found:
            yield (Entry(*one) for one in found)


def _zip_entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Entry:
    kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where the archive was made on Windows
    refusal = None
    if info.flag_bits & 1:
        refusal = f"is encrypted. {_ITSELF}"
    elif kind == stat.S_IFLNK:
        refusal = "is a link"
    elif kind not in (0, stat.S_IFREG):
        refusal = "is no plain file but a device, pipe or socket"
    return Entry(info.orig_filename, lambda: archive.open(info), refusal)


@dataclass
class _Unpacking:
    path: Path
    root: Path
    limits: Limits
    most_bytes: int
    problems: list[Problem] = field(default_factory=list)
    _count: int = 0
    _size_bytes: int = 0

    def take(self, entry: Entry) -> None:
        """Write one entry, or report why not. Raises Misconfigured beyond a limit."""
        self._count += 1
        if self._count > self.limits.entries:
            raise self._too_much(f"it has more than {self.limits.entries:,} entries")
        name = entry.name.replace("\\", "/")
        refusal = entry.refusal or _unsafe(name)
        if refusal is None and name.lower().endswith(_NESTED):
            refusal = "is an archive within the archive: unpack it and push it by itself"
        if refusal is not None:
            self._refuse(entry, refusal)
        elif _is_needed(name):
            self._write(entry, self.root / name)

    def _write(self, entry: Entry, target: Path) -> None:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            file = target.open("xb")
        except (FileExistsError, IsADirectoryError, NotADirectoryError):
            return self._refuse(entry, "stands there twice, or as a file and as a folder: the first is taken")
        except OSError as error:  # such as a name that is too long for the disk
            return self._refuse(entry, f"can't be written: {error.strerror}")
        try:
            with file:
                checksum = self._copy(entry, file)
        except _DAMAGED as error:
            target.unlink()
            return self._refuse(entry, f"can't be unpacked: {error}")
        # Unpacked once more, the same bytes have the same time: a push that goes on knows its files by size and time.
        os.utime(target, (checksum, checksum))
        return None

    def _copy(self, entry: Entry, file: IO[bytes]) -> int:
        checksum = 0
        with entry.open() as source:
            while piece := source.read(_PIECE):
                self._size_bytes += len(piece)
                if self._size_bytes > self.most_bytes:
                    raise self._too_much(f"it unpacks to more than {self.most_bytes / 1e6:,.0f} MB")
                if shutil.disk_usage(self.root).free < self.limits.spare_bytes:
                    raise self._too_much(f"the disk of {self.root.parent} is full (TMPDIR names another)")
                checksum = zlib.crc32(piece, checksum)
                file.write(piece)
        return checksum

    def _refuse(self, entry: Entry, reason: str) -> None:
        name = entry.name if entry.name.isprintable() else ascii(entry.name)
        self.problems.append(Problem(name, f"it {reason}", "archive entry refused"))

    def _too_much(self, what: str) -> Misconfigured:
        return Misconfigured(f"{self.path} is not unpacked: {what}. {_ITSELF}")


def _unsafe(name: str) -> str | None:
    """Return why a name must not become a path, or None."""
    if not name or not name.isprintable():
        return "has a name that is no printable text"
    if name.startswith("/") or _DRIVE.match(name):
        return "has an absolute path"
    return "leads out of the archive (..)" if ".." in name.split("/") else None


def _is_needed(name: str) -> bool:
    """Say whether an entry may hold an image, a video or labels. macOS leaves files beside each that only look so."""
    path = PurePosixPath(name)
    noise = "__MACOSX" in path.parts or path.name.startswith("._")
    return path.suffix.lower() in NEEDED and not noise
