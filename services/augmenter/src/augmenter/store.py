"""The object store as the augmenter uses it: patiently, and what is stored first stands."""

from __future__ import annotations

from dataclasses import dataclass

from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream_datasets.archives.keeping import keep

STORE = "object store"


@dataclass(frozen=True)
class Store:
    """Every method waits while the store is away."""

    blobs: Blobs
    health: Health

    async def read(self, key: str) -> bytes | None:
        """Return an object; None when there is none."""

        async def read() -> bytes | None:
            try:
                return (await self.blobs.get(key)).data
            except BlobNotFound:
                return None

        return await patiently(self.health, STORE, read)

    async def create(self, key: str, data: bytes) -> bytes:
        """Write an object unless the key is taken; return what is stored."""
        etag = await patiently(self.health, STORE, lambda: self.blobs.create(key, data))
        stored = data if etag is not None else await self.read(key)
        if stored is None:
            raise RuntimeError(f"{key} was taken, and is gone")
        return stored

    async def put(self, key: str, data: bytes) -> None:
        """Write an object, over an older one if there is one."""
        await patiently(self.health, STORE, lambda: self.blobs.put(key, data))

    async def delete(self, key: str) -> None:
        """Remove an object; nothing happens when there is none."""
        await patiently(self.health, STORE, lambda: self.blobs.delete(key))

    async def has(self, key: str) -> bool:
        """Say whether there is such an object."""
        return await patiently(self.health, STORE, lambda: self.blobs.head(key)) is not None

    async def keep(self, archive: str) -> bool:
        """Say whether there is an archive with this key; `labelstream gc` takes it for new then."""
        return await patiently(self.health, STORE, lambda: keep(self.blobs, archive))

    async def keys(self, prefix: str, suffix: str = "") -> list[str]:
        """Return the keys that begin and end so."""

        async def found() -> list[str]:
            return [info.key async for info in self.blobs.list(prefix) if info.key.endswith(suffix)]

        return await patiently(self.health, STORE, found)
