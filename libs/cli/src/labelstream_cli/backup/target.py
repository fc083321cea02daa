"""Where a backup lies: a folder, or a prefix in a bucket of an S3 store that has variables of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from labelstream.blobs.ports import Blob, BlobInfo, Blobs
from labelstream.blobs.s3 import S3Blobs
from labelstream.errors import Misconfigured
from labelstream.service.health import Health
from labelstream.service.settings import Environment, StoreSettings, read_settings
from labelstream_cli.backup.folder import FolderBlobs
from labelstream_cli.running import CommandFailed

_S3 = "s3"
_VARIABLES = "LABELSTREAM_BACKUP_STORE__ENDPOINT_URL, …__ACCESS_KEY and …__SECRET_KEY_FILE"


class _InEnvironment(Environment):
    """The store of the backups, which is another one than the stack's."""

    backup_store: StoreSettings


@dataclass(frozen=True)
class Under:
    """What lies under a prefix of a bucket, as if it were all that is in it (see blobs.ports.Blobs)."""

    blobs: Blobs
    prefix: str  # "" or something that ends in a slash

    async def put(self, key: str, data: bytes) -> str:
        """Write an object."""
        return await self.blobs.put(self.prefix + key, data)

    async def create(self, key: str, data: bytes) -> str | None:
        """Write an object unless the key is taken."""
        return await self.blobs.create(self.prefix + key, data)

    async def replace(self, key: str, data: bytes, etag: str) -> str:
        """Write over the object that has `etag`."""
        return await self.blobs.replace(self.prefix + key, data, etag)

    async def get(self, key: str, most_bytes: int | None = None) -> Blob:
        """Read an object."""
        return await self.blobs.get(self.prefix + key, most_bytes)

    async def get_range(self, key: str, start: int, end: int) -> bytes:
        """Read a part of an object."""
        return await self.blobs.get_range(self.prefix + key, start, end)

    async def head(self, key: str) -> BlobInfo | None:
        """Describe an object."""
        found = await self.blobs.head(self.prefix + key)
        return None if found is None else replace(found, key=key)

    async def list(self, prefix: str) -> AsyncIterator[BlobInfo]:
        """Describe the objects whose keys begin with `prefix`."""
        async for info in self.blobs.list(self.prefix + prefix):
            yield replace(info, key=info.key.removeprefix(self.prefix))

    async def delete(self, key: str) -> None:
        """Remove an object."""
        await self.blobs.delete(self.prefix + key)

    async def upload(self, path: Path, key: str) -> None:
        """Write a file."""
        await self.blobs.upload(path, self.prefix + key)

    async def download(self, key: str, path: Path) -> None:
        """Read an object into a file."""
        await self.blobs.download(self.prefix + key, path)


@asynccontextmanager
async def files_at(where: str) -> AsyncIterator[Blobs]:
    """Hold the files of a backup. Raises CommandFailed, Misconfigured."""
    if "://" not in where:
        yield FolderBlobs(_folder(where))
        return
    bucket, prefix = bucket_in(where)
    blobs = S3Blobs(_store(), bucket, Health())
    try:
        yield Under(blobs, prefix)
    finally:
        await blobs.close()


def absolute(where: str) -> str:
    """Return the place by the one name that it has on this machine."""
    return where if "://" in where else str(Path(where).resolve())


def _folder(where: str) -> Path:
    path = Path(where)
    if path.exists() and not path.is_dir():
        raise CommandFailed(f"{where} is a file: name a folder, or s3://bucket/prefix")
    return path


def bucket_in(where: str) -> tuple[str, str]:
    """Read s3://bucket/prefix; the prefix ends in a slash, or is empty. Raises CommandFailed."""
    parts = urlsplit(where)
    if parts.scheme != _S3 or not parts.netloc or parts.query or parts.fragment:
        raise CommandFailed(f"{where} is neither a folder nor s3://bucket/prefix")
    prefix = parts.path.strip("/")
    return parts.netloc, f"{prefix}/" if prefix else ""


def _store() -> StoreSettings:
    try:
        return read_settings(_InEnvironment).backup_store
    except Misconfigured as error:
        raise Misconfigured(f"a backup in S3 needs the store that it lies in, as {_VARIABLES}: {error}") from error
