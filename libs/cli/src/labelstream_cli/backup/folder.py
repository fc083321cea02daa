"""A folder that holds files as a bucket holds objects. A file appears under its name when it is whole and on disk."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from labelstream.blobs.ports import Blob, BlobChanged, BlobInfo, BlobNotFound, BlobTooLarge
from labelstream.errors import Unavailable

T = TypeVar("T")
_UNFINISHED = ".unfinished-"


class FolderBlobs:
    """One folder (see blobs.ports.Blobs). Only one process writes into it at a time."""

    def __init__(self, root: Path) -> None:
        self.root = root

    async def put(self, key: str, data: bytes) -> str:
        """Write a file; return its ETag."""
        return await self._disk(lambda: self._write(key, data))

    async def create(self, key: str, data: bytes) -> str | None:
        """Write a file unless there is one; its ETag, or None."""
        return await self._disk(lambda: None if self._path(key).exists() else self._write(key, data))

    async def replace(self, key: str, data: bytes, etag: str) -> str:
        """Write over the file that has `etag`; return the new ETag."""

        def replaced() -> str:
            if not self._path(key).exists() or _etag(self._path(key).read_bytes()) != etag:
                raise BlobChanged(key)
            return self._write(key, data)

        return await self._disk(replaced)

    async def get(self, key: str, most_bytes: int | None = None) -> Blob:
        """Read a file whole, if it has no more than `most_bytes`."""

        def read() -> Blob:
            path = self._path(key)
            if most_bytes is not None and path.stat().st_size > most_bytes:
                raise BlobTooLarge(key, path.stat().st_size)
            data = path.read_bytes()
            return Blob(data, _etag(data))

        return await self._disk(read)

    async def get_range(self, key: str, start: int, end: int) -> bytes:
        """Read bytes [start, end) of a file; fewer where it ends earlier."""

        def read() -> bytes:
            with self._path(key).open("rb") as file:
                file.seek(start)
                return file.read(max(0, end - start))

        return await self._disk(read)

    async def head(self, key: str) -> BlobInfo | None:
        """Describe a file; None when there is none. Its ETag is not told: that would mean to read it."""
        try:
            return await self._disk(lambda: _info(key, self._path(key)))
        except BlobNotFound:
            return None

    async def list(self, prefix: str) -> AsyncIterator[BlobInfo]:
        """Describe the files whose names begin with `prefix`, folders and all."""
        for info in await self._disk(lambda: self._listed(prefix)):
            yield info

    async def delete(self, key: str) -> None:
        """Remove a file; nothing happens when there is none."""
        await self._disk(lambda: self._path(key).unlink(missing_ok=True))

    async def upload(self, path: Path, key: str) -> None:
        """Write a file of any size."""
        await self._disk(lambda: self._placed(key, lambda there: shutil.copyfile(path, there)))

    async def download(self, key: str, path: Path) -> None:
        """Read a file of any size into another."""
        await self._disk(lambda: shutil.copyfile(self._path(key), path))

    async def close(self) -> None:
        """Do nothing: no file stays open."""

    def _path(self, key: str) -> Path:
        parts = key.split("/")
        if not key or any(part in ("", ".", "..") or part.startswith(_UNFINISHED) for part in parts):
            raise ValueError(f"{key!r} is no name of a file in a backup")
        return self.root.joinpath(*parts)

    def _write(self, key: str, data: bytes) -> str:
        self._placed(key, lambda there: there.write_bytes(data))
        return _etag(data)

    def _placed(self, key: str, write: Callable[[Path], Any]) -> None:
        path = self._path(key)
        _make_folder(path.parent)
        there = path.parent / f"{_UNFINISHED}{uuid.uuid4().hex}"
        try:
            write(there)
            _to_disk(there)
            there.replace(path)
        finally:
            there.unlink(missing_ok=True)
        _to_disk(path.parent)

    def _listed(self, prefix: str) -> Sequence[BlobInfo]:
        start = self.root / prefix.rpartition("/")[0] if "/" in prefix else self.root
        found = []
        for path in sorted(start.rglob("*")) if start.is_dir() else ():
            key = path.relative_to(self.root).as_posix()
            if path.is_file() and key.startswith(prefix) and not path.name.startswith(_UNFINISHED):
                found.append(_info(key, path))
        return found

    async def _disk(self, work: Callable[[], T]) -> T:
        """Do something with the disk in a thread. Raises BlobNotFound, Unavailable."""
        try:
            return await asyncio.to_thread(work)
        except FileNotFoundError as error:
            raise BlobNotFound(str(error.filename)) from error
        except OSError as error:
            full = "the disk is full" if error.errno == errno.ENOSPC else str(error.strerror)
            raise Unavailable(f"the folder {self.root}", f"{full} ({error.filename})") from error


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileNotFoundError, FileExistsError) as error:  # the first reads as if a file of the backup were missing
        why = {errno.ENOENT: "no folder can be made there", errno.EEXIST: "a file, or a link to nothing, is there"}
        raise OSError(errno.ENOTDIR, why[error.errno or errno.EEXIST], error.filename) from error


def _info(key: str, path: Path) -> BlobInfo:
    found = path.stat()
    return BlobInfo(key, found.st_size, "", datetime.fromtimestamp(found.st_mtime, UTC), datetime.now(UTC))


def _etag(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


def _to_disk(path: Path) -> None:
    """Return when what was written is on the disk, not only in the system's memory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
