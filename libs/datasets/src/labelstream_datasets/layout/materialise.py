"""From the store onto disk: a dataset as the folder that YOLO trainers read.

DIR/data.yaml      DIR/{train,val,test}/images/…      DIR/{train,val,test}/labels/….txt
DIR/media.csv      file name of an image → the photo or video that it came from
"""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from labelstream.blobs.checked import HINT
from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.errors import Rejected
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.values import SPLITS, FileRef, Split
from labelstream_datasets.archives.forwarding import follow_archive
from labelstream_datasets.archives.together import each_archive
from labelstream_datasets.description import DatasetDescription
from labelstream_datasets.layout.disk import writing
from labelstream_datasets.layout.interrupted import DATA, FINISHED, MEDIA, LayingOut
from labelstream_datasets.layout.unpacking import Unpacking, place, places
from labelstream_datasets.loading import load_description, load_manifest
from labelstream_datasets.manifest import Manifest, Row
from labelstream_datasets.options import LabelRules

__all__ = ["FINISHED", "materialise"]

STORE = "object store"
AT_ONCE = 4  # archives
PIECE_BYTES = 16 << 20  # of an archive in memory; with two copies on the way, 128 MiB in all
DISK_HINT = "Make room, or name a directory on another disk, and try again: what is there is kept"

T = TypeVar("T")
Told = Callable[[int, int], None]  # (samples on disk, samples in all)


async def materialise(
    blobs: Blobs,
    health: Health,
    description: FileRef,
    directory: Path,
    splits: Sequence[Split] = SPLITS,
    told: Told | None = None,
) -> Path:
    """Lay a stored dataset out under `directory`, which is its own; return the directory.

    Several archives come at once, and are unpacked while they come; each is checked against its digest. A directory
    that was finished before is taken as it is, an interrupted one goes on, and one with another dataset is cleared.
    Waits while the store is away. An archive that was rewritten is followed to where its content lies now. Raises
    Rejected when something is gone from the store (`dataset.erased`, `dataset.collected`) or changed there, or when
    the disk is full; Misconfigured when the directory can't be written, or holds something else.
    """
    said = await patiently(health, STORE, lambda: load_description(blobs, description))
    laying = LayingOut(directory, said.id, splits)
    if laying.is_finished:
        return directory
    manifest = await patiently(health, STORE, lambda: load_manifest(blobs, said))
    wanted = await asyncio.to_thread(manifest.only, splits)
    twice = await asyncio.to_thread(_stems_of_several, wanted)
    work = _Work(blobs, health, laying, said.rules, twice, len(wanted), told)
    await work.do(wanted)
    await asyncio.to_thread(work.on_disk, lambda: _finish(laying, said, wanted, twice))
    return directory


@dataclass
class _Work:
    blobs: Blobs
    health: Health
    laying: LayingOut
    rules: LabelRules
    twice: frozenset[str]  # stems that several samples share
    total: int
    told: Told | None
    done: int = 0

    async def do(self, manifest: Manifest) -> None:
        """Lay every archive out that is not there yet."""
        there = await self._there(manifest)
        archives = (rows for rows in manifest.by_archive() if rows[0].archive not in there)
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="unpacking") as pool:  # none writes on afterwards
            await each_archive(archives, lambda rows: self._lay_out(rows, pool), AT_ONCE)

    async def _there(self, manifest: Manifest) -> set[str]:
        """Return the archives that an interrupted run laid out, and remove what else it left."""
        noted = await asyncio.to_thread(self.on_disk, self.laying.begin)
        for archive in list(noted):
            if await patiently(self.health, STORE, partial(self.blobs.head, archive)) is None:
                del noted[archive]  # something in it may have been erased meanwhile
        return await asyncio.to_thread(self.on_disk, lambda: self._kept(manifest, noted))

    def _kept(self, manifest: Manifest, noted: Mapping[str, str]) -> set[str]:
        archives: set[str] = set()
        files: set[str] = set()
        for rows in manifest.by_archive() if noted else ():
            labels = noted.get(rows[0].archive)
            found = places(rows, self.twice)
            if labels is not None and self.laying.holds(found, labels):
                archives.add(rows[0].archive)
                files.update(file for one in found for file in (one.image, one.labels))
        self.laying.keep_only(files)
        self._tell(len(files) // 2)
        return archives

    async def _lay_out(self, rows: list[Row], pool: ThreadPoolExecutor) -> None:
        loop, first = asyncio.get_running_loop(), rows[0]
        found = places(rows, self.twice)

        async def read(where: FileRef, rewritten: bool) -> str:
            unpacking = Unpacking(str(self.laying.directory), found, self.rules, where, rewritten)
            for start in range(0, where.size_bytes, PIECE_BYTES):
                end = min(start + PIECE_BYTES, where.size_bytes)
                piece = await patiently(self.health, STORE, partial(_piece, self.blobs, where, start, end))
                await loop.run_in_executor(pool, self.on_disk, partial(unpacking.take, piece))
            return await loop.run_in_executor(pool, unpacking.finish)

        archive = FileRef(key=first.archive, sha256=first.archive_sha256, size_bytes=first.archive_bytes)
        labels = await patiently(self.health, STORE, lambda: follow_archive(self.blobs, archive, read))
        self.on_disk(lambda: self.laying.note(archive.key, labels))
        self._tell(len(rows))

    def on_disk(self, work: Callable[[], T]) -> T:
        """Do what may fail for want of room or rights, and say so then."""
        with writing(self.laying.directory, DISK_HINT):
            return work()

    def _tell(self, more: int) -> None:
        self.done += more
        if self.told is not None and more:
            self.told(self.done, self.total)


async def _piece(blobs: Blobs, file: FileRef, start: int, end: int) -> bytes:
    try:
        return await blobs.get_range(file.key, start, end)
    except BlobNotFound as error:
        raise Rejected("object.missing", f"the store has no {file.key}", HINT) from error


def _stems_of_several(manifest: Manifest) -> frozenset[str]:
    """Return the stems that several samples share: 64 bits of an image's digest can be made to meet."""
    stems = pc.replace_substring_regex(manifest.table["path"].cast(pa.string()), r"\.[^.]*$", "")
    counted = pc.value_counts(stems)
    return frozenset(counted.field("values").filter(pc.greater(counted.field("counts"), 1)).to_pylist())


def _finish(laying: LayingOut, said: DatasetDescription, manifest: Manifest, twice: frozenset[str]) -> None:
    folders: dict[str, str] = {split: f"{split}/images" for split in laying.splits}
    names = dict(enumerate(said.class_schema.classes))
    content: dict[str, object] = {"path": str(laying.directory.resolve()), **folders, "names": names}
    (laying.directory / DATA).write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    with (laying.directory / MEDIA).open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(("image", "medium"))
        lines.writerows((place(row, twice).image.rpartition("/")[2], row.medium) for row in manifest.rows())
    laying.finish()
