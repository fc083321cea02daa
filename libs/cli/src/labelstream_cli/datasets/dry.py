"""A store that is only read: what is written goes nowhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from labelstream.blobs.ports import Blob, BlobInfo, Blobs


@dataclass(frozen=True)
class ReadOnly:
    """Reads a bucket (see ports.Blobs), and says that it took what it is given."""

    behind: Blobs

    async def put(self, key: str, data: bytes) -> str:
        """Take nothing."""
        del key, data  # goes nowhere
        return ""

    async def create(self, key: str, data: bytes) -> str | None:
        """Take nothing; None when the key is taken."""
        del data  # goes nowhere
        return None if await self.behind.head(key) else ""

    async def replace(self, key: str, data: bytes, etag: str) -> str:
        """Take nothing."""
        del key, data  # goes nowhere
        return etag

    async def get(self, key: str, most_bytes: int | None = None) -> Blob:
        """Read an object whole."""
        return await self.behind.get(key, most_bytes)

    async def get_range(self, key: str, start: int, end: int) -> bytes:
        """Read bytes [start, end) of an object."""
        return await self.behind.get_range(key, start, end)

    async def head(self, key: str) -> BlobInfo | None:
        """Describe an object."""
        return await self.behind.head(key)

    def list(self, prefix: str) -> AsyncIterator[BlobInfo]:
        """Describe the objects whose keys begin with `prefix`."""
        return self.behind.list(prefix)

    async def delete(self, key: str) -> None:
        """Remove nothing."""

    async def upload(self, path: Path, key: str) -> None:
        """Take nothing."""

    async def download(self, key: str, path: Path) -> None:
        """Read an object into a file."""
        await self.behind.download(key, path)
