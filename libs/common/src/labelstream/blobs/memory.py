"""The double of an object store: one bucket in memory."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from labelstream.blobs.ports import Blob, BlobChanged, BlobInfo, BlobNotFound, BlobTooLarge
from labelstream.errors import Unavailable


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class MemoryBlobs:
    """One bucket that lives as long as the process (see ports.Blobs). Set `away` to a reason to take it down."""

    clock: Callable[[], datetime] = _utc_now
    away: str | None = None
    _objects: dict[str, tuple[bytes, str, datetime]] = field(default_factory=dict)

    async def put(self, key: str, data: bytes) -> str:
        """Write an object; return its ETag."""
        await self._answer()
        return self._store(key, data)

    async def create(self, key: str, data: bytes) -> str | None:
        """Write an object unless the key is taken; its ETag, or None."""
        await self._answer()
        return None if key in self._objects else self._store(key, data)

    async def replace(self, key: str, data: bytes, etag: str) -> str:
        """Write over the object that has `etag`; return the new ETag."""
        await self._answer()
        if key not in self._objects or self._objects[key][1] != etag:
            raise BlobChanged(key)
        return self._store(key, data)

    async def get(self, key: str, most_bytes: int | None = None) -> Blob:
        """Read an object whole, if it has no more than `most_bytes`."""
        await self._answer()
        if key not in self._objects:
            raise BlobNotFound(key)
        data, etag, _ = self._objects[key]
        if most_bytes is not None and len(data) > most_bytes:
            raise BlobTooLarge(key, len(data))
        return Blob(data, etag)

    async def get_range(self, key: str, start: int, end: int) -> bytes:
        """Read bytes [start, end) of an object; fewer where it ends earlier."""
        return (await self.get(key)).data[start:end]

    async def head(self, key: str) -> BlobInfo | None:
        """Describe an object; None when there is none."""
        await self._answer()
        return self._info(key) if key in self._objects else None

    async def list(self, prefix: str) -> AsyncIterator[BlobInfo]:
        """Describe the objects whose keys begin with `prefix`, each once."""
        await self._answer()
        for info in [self._info(key) for key in sorted(self._objects) if key.startswith(prefix)]:
            yield info

    async def delete(self, key: str) -> None:
        """Remove an object; nothing happens when there is none."""
        await self._answer()
        self._objects.pop(key, None)

    async def upload(self, path: Path, key: str) -> None:
        """Write a file."""
        await self.put(key, await asyncio.to_thread(path.read_bytes))

    async def download(self, key: str, path: Path) -> None:
        """Read an object into a file, which appears under its name when it is whole."""
        data = (await self.get(key)).data
        partial = path.with_name(path.name + ".partial")
        await asyncio.to_thread(partial.write_bytes, data)
        await asyncio.to_thread(partial.replace, path)

    async def close(self) -> None:
        """Do nothing: the double holds no connections."""

    async def _answer(self) -> None:
        await asyncio.sleep(0)  # as with the real one, others run between the question and the answer
        if self.away is not None:
            raise Unavailable("object store", self.away)

    def _store(self, key: str, data: bytes) -> str:
        etag = f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
        self._objects[key] = (bytes(data), etag, self.clock())
        return etag

    def _info(self, key: str) -> BlobInfo:
        data, etag, modified = self._objects[key]
        return BlobInfo(key, len(data), etag, modified, self.clock())
