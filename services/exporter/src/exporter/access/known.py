"""Everybody's records, kept in memory and read again when they change: one listing, however many there are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic

from exporter.access.records import DEVICES, KEYS, USERS, Kind, R, read_record
from labelstream.access import ApiKey, Device, User, address_sha256
from labelstream.blobs.ports import BlobInfo, BlobNotFound, Blobs
from labelstream.errors import Rejected
from labelstream.service.health import Health

__all__ = ["Known", "KnownDevices", "KnownKeys", "KnownUsers", "address_sha256"]

_AT_ONCE = 8


@dataclass
class Known(Generic[R]):
    """The records of one kind, at most `max_age_s` old. Those of revoked ones are among them.

    A record that can't be read stops nobody else: it is passed over, and shown as degraded.
    """

    resources: Blobs
    health: Health
    kind: Kind[R]
    max_age_s: float = 2.0
    clock: Callable[[], float] = time.monotonic
    _etags: dict[str, str] = field(default_factory=dict)  # by key
    _records: dict[str, R] = field(default_factory=dict)  # by key
    _by_secret: dict[str, R] = field(default_factory=dict)
    _read_at: float | None = None
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def by_name(self, name: str) -> R | None:
        """Return somebody's record. Raises Unavailable."""
        await self._freshen()
        return self._records.get(self.kind.key(name))

    async def by_secret(self, sha256: str) -> R | None:
        """Return the record of who showed what has this SHA-256. Raises Unavailable."""
        await self._freshen()
        return self._by_secret.get(sha256)

    async def all(self) -> list[R]:
        """Return every record, by name. Raises Unavailable."""
        await self._freshen()
        return sorted(self._records.values(), key=lambda record: record.name)

    async def _freshen(self) -> None:
        asked_at = self.clock()
        async with self._reading:
            if self._read_at is None or asked_at - self._read_at >= self.max_age_s:
                begun = self.clock()
                await self._read()
                self._read_at = begun

    async def _read(self) -> None:
        listed = [info async for info in self.resources.list(self.kind.folder)]
        gone = self._etags.keys() - {info.key for info in listed}
        for key in gone:
            self._forget(key)
        gate = asyncio.Semaphore(_AT_ONCE)
        changed = [info for info in listed if self._etags.get(info.key) != info.etag]
        await asyncio.gather(*(self._read_one(info, gate) for info in changed))
        revoked_first = sorted(self._records.values(), key=lambda record: record.revoked is None)
        self._by_secret = {self.kind.secret(record): record for record in revoked_first}

    async def _read_one(self, info: BlobInfo, gate: asyncio.Semaphore) -> None:
        try:
            async with gate:
                blob = await self.resources.get(info.key)
            self._records[info.key] = read_record(self.kind, info.key, blob.data)
        except BlobNotFound:  # removed since it was listed
            self._forget(info.key)
            return
        except Rejected as error:
            self._records.pop(info.key, None)
            self.health.degraded(info.key, error.reason)
        else:
            self.health.degraded(info.key, None)
        self._etags[info.key] = blob.etag

    def _forget(self, key: str) -> None:
        self._etags.pop(key, None)
        self._records.pop(key, None)
        self.health.degraded(key, None)


class KnownDevices(Known[Device]):
    """The devices."""

    def __init__(self, resources: Blobs, health: Health, max_age_s: float = 2.0) -> None:
        """Read nothing yet."""
        super().__init__(resources, health, DEVICES, max_age_s)

    async def by_token(self, token_sha256: str) -> Device | None:
        """Return the device that has the token; it may be revoked. Raises Unavailable."""
        return await self.by_secret(token_sha256)


class KnownUsers(Known[User]):
    """The people."""

    def __init__(self, resources: Blobs, health: Health, max_age_s: float = 2.0) -> None:
        """Read nothing yet."""
        super().__init__(resources, health, USERS, max_age_s)

    async def by_address(self, email_sha256: str) -> User | None:
        """Return who logs in with an address; they may be revoked. Raises Unavailable."""
        return await self.by_secret(email_sha256)


class KnownKeys(Known[ApiKey]):
    """The API keys."""

    def __init__(self, resources: Blobs, health: Health, max_age_s: float = 2.0) -> None:
        """Read nothing yet."""
        super().__init__(resources, health, KEYS, max_age_s)
