"""From the store onto disk: a dataset as the folder that YOLO trainers read.

DIR/data.yaml      DIR/{train,val,test}/images/…      DIR/{train,val,test}/labels/….txt
DIR/media.csv      file name of an image → the photo or video that it came from
"""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from labelstream import keys
from labelstream.blobs.checked import HINT
from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.errors import Misconfigured, Rejected
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.values import SPLITS, FileRef, Split
from labelstream_datasets.archives.forwarding import Erased, follow_archive
from labelstream_datasets.archives.together import each_archive
from labelstream_datasets.description import DatasetDescription
from labelstream_datasets.layout.data_yaml import data_yaml
from labelstream_datasets.layout.disk import require_place, writing
from labelstream_datasets.layout.interrupted import DATA, FINISHED, MEDIA, LayingOut
from labelstream_datasets.layout.refusal import refusal
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
    *,
    replace: bool = False,
) -> Path:
    """Lay a stored dataset out under `directory`, which is its own; return the directory.

    Several archives come at once, and are unpacked while they come; each is checked against its digest. A directory
    that was finished before is taken as it is, and an interrupted one goes on. What lies there of another dataset, of
    other splits, or besides the dataset's files goes only when `replace` says so. Archives that were rewritten come
    first, since something in them may have been erased. Waits while the store is away.
    Raises Rejected when something is gone from the store (`dataset.erased`, `dataset.collected`) or changed there, or
    when the disk is full; Misconfigured when the directory can't be written, or holds something that has to stay.
    """
    require_place(directory, folder=True)
    said = await patiently(health, STORE, lambda: load_description(blobs, description))
    laying = LayingOut(directory, said.id, splits)
    if laying.is_finished:
        return directory
    manifest = await patiently(health, STORE, lambda: load_manifest(blobs, said))
    wanted = await asyncio.to_thread(manifest.only, splits)
    twice = await asyncio.to_thread(_stems_of_several, wanted)
    work = _Work(blobs, health, laying, said.rules, twice, len(wanted), told, replace)
    listed = await patiently(health, STORE, lambda: _listed(blobs, said.project))
    await work.do(wanted, listed)
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
    replace: bool
    done: int = 0

    async def do(self, manifest: Manifest, listed: Collection[str]) -> None:
        """Lay every archive out that is not there yet, first those that the store does not list under their names."""
        there = await self._there(manifest, listed)
        needed = set(manifest.table["archive"].unique().cast(pa.string()).to_pylist()) - there
        erased: list[Row] = []

        async def lay_out(rows: list[Row]) -> None:
            try:
                await self._lay_out(rows, pool)
            except Erased as error:
                erased.extend(error.rows or rows)

        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="unpacking") as pool:  # none writes on afterwards
            for some in (needed - set(listed), needed & set(listed)):
                if some:
                    await each_archive(_of(manifest, some), lay_out, AT_ONCE)
                if erased:
                    raise refusal(manifest, self.laying.splits, erased)

    async def _there(self, manifest: Manifest, listed: Collection[str]) -> set[str]:
        """Return the archives that an interrupted run laid out, and remove what else it left."""
        begin = partial(self.laying.begin, replace=self.replace)
        noted = await asyncio.to_thread(self.on_disk, begin)
        for archive in set(noted) - set(listed):
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
        self._remove_others(manifest, files)
        self._tell(len(files) // 2)
        return archives

    def _remove_others(self, manifest: Manifest, files: Collection[str]) -> None:
        """Remove what archives left that were not whole, and what is not of the dataset if it may be replaced."""
        others = self.laying.others(files)
        if others and not self.replace:
            found = (one for rows in manifest.by_archive() for one in places(rows, self.twice))
            foreign = set(others).difference(*((one.image, one.labels) for one in found))
            if foreign:
                raise Misconfigured(
                    f"{self.laying.directory / min(foreign)} is not of this dataset"
                    + (f", nor are {len(foreign) - 1:,} more files there" if len(foreign) > 1 else "")
                    + ": move it away, or have it removed (`--replace`)"
                )
        self.laying.remove(others)

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


async def _listed(blobs: Blobs, project: str) -> set[str]:
    return {info.key async for info in blobs.list(keys.archives(project))}


def _of(manifest: Manifest, archives: Collection[str]) -> Iterator[list[Row]]:
    return (rows for rows in manifest.by_archive() if rows[0].archive in archives)


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
    content = data_yaml(laying.splits, said.class_schema.classes, laying.directory.resolve())
    (laying.directory / DATA).write_text(content, encoding="utf-8")
    with (laying.directory / MEDIA).open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(("image", "medium"))
        lines.writerows((place(row, twice).image.rpartition("/")[2], row.medium) for row in manifest.rows())
    laying.finish()
