"""Looking archives up in the store, and reading them where their size does not say enough."""

from __future__ import annotations

import asyncio
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from labelstream.blobs.checked import HINT, download_checked
from labelstream.blobs.ports import Blobs
from labelstream.errors import Rejected
from labelstream.values import FileRef, sha256_hex
from labelstream_datasets.archives.forwarding import follow_archive
from labelstream_datasets.archives.together import each_archive
from labelstream_datasets.manifest import Manifest, Row

_AT_ONCE = 4


@dataclass
class Looked:
    """What was found of one archive."""

    archive: FileRef
    rewritten: bool = False
    problem: Rejected | None = None
    lacking: Sequence[Row] = ()  # the samples that are not what they were


@dataclass(frozen=True)
class ArchiveLook:
    """Looks archives up by what the store lists, and downloads those that must be read."""

    blobs: Blobs
    sizes: Mapping[str, int]  # of the archives that are there, by key
    scratch: Path
    deep: bool  # read all of them

    async def at_all(self, manifest: Manifest, told: Callable[[int, int], None]) -> list[Looked]:
        """Look at every archive of a manifest, a few at a time. Raises Unavailable."""
        total = len(manifest.table["archive"].unique())
        looked: list[Looked] = []

        async def look(rows: list[Row]) -> None:
            looked.append(await self._at(rows))
            told(len(looked), total)

        await each_archive(manifest.by_archive(), look, _AT_ONCE)
        return sorted(looked, key=lambda one: one.archive.key)

    async def _at(self, rows: list[Row]) -> Looked:
        row = rows[0]
        archive = FileRef(key=row.archive, sha256=row.archive_sha256, size_bytes=row.archive_bytes)
        looked = Looked(archive)

        async def read(where: FileRef, rewritten: bool) -> None:
            looked.rewritten = rewritten
            self._compare_size(where)
            if self.deep or rewritten:
                looked.lacking = await self._read(where, rows)
                _judge(where, looked)

        try:
            await follow_archive(self.blobs, archive, read)
        except Rejected as error:
            looked.problem = error
            looked.lacking = looked.lacking or rows  # nothing vouches for the rest of it either
        return looked

    def _compare_size(self, where: FileRef) -> None:
        size_bytes = self.sizes.get(where.key)
        if size_bytes is None:
            raise Rejected("object.missing", f"the store has no {where.key}", HINT)
        if size_bytes != where.size_bytes:
            raise Rejected("object.changed", f"{where.key} has {size_bytes} bytes, not {where.size_bytes}", HINT)

    async def _read(self, where: FileRef, rows: Sequence[Row]) -> list[Row]:
        path = self.scratch / PurePosixPath(where.key).name
        try:
            await download_checked(self.blobs, where, path)
            return await asyncio.to_thread(_not_in, path, rows)
        finally:
            path.unlink(missing_ok=True)


def _judge(where: FileRef, looked: Looked) -> None:
    """Raise Rejected when samples lack in an archive whose own digest is right."""
    if looked.lacking and looked.rewritten:
        images = len({row.image for row in looked.lacking})
        reason = f"{images} of its images {'was' if images == 1 else 'were'} erased since"
        raise Rejected("dataset.erased", reason, HINT)
    if looked.lacking:
        reason = f"{where.key} lacks {looked.lacking[0].path} as the manifest has it"
        raise Rejected("dataset.archive_incomplete", reason, HINT)


def _not_in(path: Path, rows: Sequence[Row]) -> list[Row]:
    """Return the rows whose image or labels are not in the archive as they should be. Raises Rejected."""
    wanted = {row.path: row for row in rows}
    labels = {str(PurePosixPath(row.path).with_suffix(".txt")): row for row in rows}
    try:
        with tarfile.open(path, mode="r:") as tar:
            for entry in tar:
                content = tar.extractfile(entry)
                row = wanted.get(entry.name)
                if row is not None and content is not None and sha256_hex(content.read()) == row.sha256:
                    del wanted[entry.name]
                labels.pop(entry.name, None)
    except tarfile.TarError as error:
        raise Rejected("object.changed", f"{path.name} is no archive: {error}", HINT) from error
    return [*wanted.values(), *labels.values()]
