"""What the services need of an object store. `s3` is the real one, `memory` its double."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol


class BlobNotFound(Exception):
    """There is no object under that key."""


class BlobChanged(Exception):
    """The object is not the one that the caller had seen (its ETag differs), or exists no more."""


class BlobTooLarge(Exception):
    """The object is larger than the caller would read."""

    def __init__(self, key: str, size_bytes: int) -> None:
        """Say which object it is and how large."""
        super().__init__(f"{key} has {size_bytes} bytes")
        self.key = key
        self.size_bytes = size_bytes


@dataclass(frozen=True)
class BlobInfo:
    """What the store says about an object."""

    key: str
    size_bytes: int
    etag: str
    modified: datetime
    store_time: datetime  # the store's own clock when it answered


@dataclass(frozen=True)
class Blob:
    """An object's bytes with the ETag that they had."""

    data: bytes
    etag: str


class Blobs(Protocol):
    """One bucket. Every method raises Unavailable when the store does not answer."""

    async def put(self, key: str, data: bytes) -> str:
        """Write an object, over an older one if there is one; return its ETag."""
        ...

    async def create(self, key: str, data: bytes) -> str | None:
        """Write an object unless the key is taken (If-None-Match: *); its ETag, or None when it is taken."""
        ...

    async def replace(self, key: str, data: bytes, etag: str) -> str:
        """Write over the object that has `etag`; return the new ETag. Raises BlobChanged."""
        ...

    async def get(self, key: str, most_bytes: int | None = None) -> Blob:
        """Read an object whole. Raises BlobNotFound, or BlobTooLarge before it reads more than `most_bytes`."""
        ...

    async def get_range(self, key: str, start: int, end: int) -> bytes:
        """Read bytes [start, end) of an object. Raises BlobNotFound."""
        ...

    async def head(self, key: str) -> BlobInfo | None:
        """Describe an object; None when there is none."""
        ...

    def list(self, prefix: str) -> AsyncIterator[BlobInfo]:
        """Describe the objects whose keys begin with `prefix`, each once; in key order within one folder.

        Across folders stores differ: some put `a/1` before `a-b`, although its key is greater.
        """
        ...

    async def delete(self, key: str) -> None:
        """Remove an object; nothing happens when there is none."""
        ...

    async def upload(self, path: Path, key: str) -> None:
        """Write a file of any size, in parts, without reading it whole into memory."""
        ...

    async def download(self, key: str, path: Path) -> None:
        """Read an object of any size into a file. Raises BlobNotFound."""
        ...
