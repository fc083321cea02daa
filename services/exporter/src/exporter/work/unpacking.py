"""Test images with their labels, out of the archive that holds them."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from labelstream.blobs.checked import HINT
from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.errors import Rejected
from labelstream.labels import Box
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.values import FileRef
from labelstream_datasets.archives.forwarding import Erased, follow_archive
from labelstream_datasets.layout.unpacking import Place, Unpacking, places
from labelstream_datasets.manifest import Row
from labelstream_datasets.options import LabelRules

PIECE_BYTES = 16 << 20  # of an archive in memory

log = structlog.get_logger()


@dataclass(frozen=True)
class Unpacked:
    """A sample on disk."""

    row: Row
    path: Path
    boxes: tuple[Box, ...]


async def unpack(blobs: Blobs, health: Health, rows: list[Row], rules: LabelRules, folder: Path) -> list[Unpacked]:
    """Unpack some samples of one archive into `folder`; those that were erased since are left out.

    Raises Rejected when the archive is gone otherwise, or is not what it was.
    """
    first, found = rows[0], places(rows, ())
    await asyncio.to_thread(_make_room, folder, found)

    async def read(where: FileRef, rewritten: bool) -> None:
        unpacking = Unpacking(str(folder), found, rules, where, rewritten)
        for start in range(0, where.size_bytes, PIECE_BYTES):
            end = min(start + PIECE_BYTES, where.size_bytes)
            piece = await patiently(health, "object store", partial(_piece, blobs, where, start, end))
            await asyncio.to_thread(unpacking.take, piece)
        await asyncio.to_thread(unpacking.finish)

    archive = FileRef(key=first.archive, sha256=first.archive_sha256, size_bytes=first.archive_bytes)
    gone: list[Row] = []
    try:
        await patiently(health, "object store", partial(follow_archive, blobs, archive, read))
    except Erased as error:
        gone = list(error.rows) or rows
        log.info("samples.erased", archive=first.archive, samples=len(gone))
    left = [place for place in found if place.row not in gone]
    return await asyncio.to_thread(lambda: [_unpacked(folder, place) for place in left])


def boxes_in(lines: str) -> tuple[Box, ...]:
    """Read a YOLO label file: class, centre and size as fractions, a line each."""
    fields = (line.split() for line in lines.splitlines())
    return tuple(
        Box(class_id=int(class_id), x=float(x), y=float(y), w=float(w), h=float(h)) for class_id, x, y, w, h in fields
    )


def _make_room(folder: Path, found: list[Place]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for place in found:
        for file in (place.image, place.labels):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)


def _unpacked(folder: Path, place: Place) -> Unpacked:
    boxes = boxes_in((folder / place.labels).read_text())
    return Unpacked(place.row, folder / place.image, boxes)


async def _piece(blobs: Blobs, file: FileRef, start: int, end: int) -> bytes:
    try:
        return await blobs.get_range(file.key, start, end)
    except BlobNotFound as error:
        raise Rejected("object.missing", f"the store has no {file.key}", HINT) from error
