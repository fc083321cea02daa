"""A few members out of stored archives, without reading the archives whole."""

from __future__ import annotations

import tarfile
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import PurePosixPath

from labelstream.blobs.checked import HINT
from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.errors import Rejected
from labelstream.values import FileRef, sha256_hex
from labelstream_datasets.archives.forwarding import follow_archive
from labelstream_datasets.manifest import Row

WINDOW = 4 << 20  # bytes that are read at once
_BLOCK = tarfile.BLOCKSIZE


@dataclass(frozen=True)
class Sample:
    """A sample as it is stored."""

    row: Row
    image: bytes
    lines: str  # its labels, as YOLO lines


@dataclass
class Fetched:
    """What was found, and in words what was not."""

    samples: list[Sample] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


async def fetch(blobs: Blobs, rows: Iterable[Row]) -> Fetched:
    """Read the samples of some rows, one archive after the other, each up to its last wanted member.

    What is gone, damaged or erased is told of in `left_out`. Raises Unavailable.
    """
    fetched = Fetched()
    for key, group in groupby(sorted(rows, key=lambda row: (row.archive, row.path)), key=lambda row: row.archive):
        wanted = list(group)
        try:
            found = await _find(blobs, wanted)
        except Rejected as error:  # gone, collected or erased
            fetched.left_out.append(error.reason)
            continue
        except tarfile.TarError as error:
            fetched.left_out.append(f"{key} is damaged: {error}")
            continue
        for row in wanted:
            image, lines = found.get(row.path), found.get(_labels(row))
            if image is None or lines is None or sha256_hex(image) != row.sha256:
                fetched.left_out.append(f"{row.path} is not in {key} as it was stored")
            else:
                fetched.samples.append(Sample(row, image, lines.decode()))
    return fetched


async def _find(blobs: Blobs, rows: Sequence[Row]) -> dict[str, bytes]:
    """Return what is there of the members of an archive, or of what took its place."""
    paths = {path for row in rows for path in (row.path, _labels(row))}
    archive = FileRef(key=rows[0].archive, sha256=rows[0].archive_sha256, size_bytes=rows[0].archive_bytes)

    async def read(where: FileRef, _rewritten: bool) -> dict[str, bytes]:
        try:
            return await _Walk(blobs, where.key, where.size_bytes).find(paths)
        except BlobNotFound as error:
            raise Rejected("object.missing", f"the store has no {where.key}", HINT) from error

    return await follow_archive(blobs, archive, read)


def _labels(row: Row) -> str:
    return str(PurePosixPath(row.path).with_suffix(".txt"))


@dataclass
class _Walk:
    """Goes from header to header of a tar in the store."""

    blobs: Blobs
    key: str
    size_bytes: int
    _start: int = 0
    _window: bytes = b""

    async def find(self, paths: Collection[str]) -> dict[str, bytes]:
        """Return the content of the members that are there."""
        found: dict[str, bytes] = {}
        at = 0
        while len(found) < len(paths) and at + _BLOCK <= self.size_bytes:
            header = await self._read(at, _BLOCK)
            if not header.strip(b"\0"):  # the end
                break
            member = tarfile.TarInfo.frombuf(header, "utf-8", "strict")
            at += _BLOCK
            if member.name in paths:
                found[member.name] = await self._read(at, member.size)
            at += -(-member.size // _BLOCK) * _BLOCK
        return found

    async def _read(self, start: int, size: int) -> bytes:
        inside = start - self._start
        if inside < 0 or inside + size > len(self._window):
            end = min(self.size_bytes, start + max(size, WINDOW))
            self._start, inside = start, 0
            self._window = await self.blobs.get_range(self.key, start, end)
        return self._window[inside : inside + size]
