"""Leases with fencing: who works on what, decided by conditional writes and judged by the store's clock.

    nothing ──claim──▶ held (attempt 1) ──finish──▶ finished, for good
                        │    │
                 no renewal  release
                        ▼    ▼
                     expired / released ──claim──▶ held (attempt + 1)

An owner writes what it makes under its attempt number; when the lease was taken over, its next renewal
fails, and nobody looks at the older attempt's files any more.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from labelstream.blobs.ports import BlobChanged, BlobNotFound, Blobs
from labelstream.errors import Unavailable
from labelstream.values import Value

# The store's times are whole seconds, so an age may look up to a second too long.
CLOCK_GRAIN_S = 1.0
_READS = 5  # how often to look again at a lease that changes while it is read

State = Literal["held", "expired", "released", "finished"]


class LeaseLost(Exception):
    """Somebody else holds the lease by now, or may: stop working, and write nothing more."""


@dataclass(frozen=True)
class LeaseState:
    """What a lease looks like from outside."""

    owner: str
    attempt: int
    state: State
    failures: int = 0  # attempts in a row that lapsed or were given up; not those that were released to go on elsewhere
    reason: str = ""  # why the last of them was given up


class _Record(Value):
    """What stands in the lease object. `token` is one claim's own; `writes` makes each write's ETag new."""

    owner: str
    attempt: int
    token: str
    ttl_s: float
    state: Literal["held", "released", "finished"] = "held"
    writes: int = 0
    failures: int = 0
    reason: str = ""

    def to_bytes(self) -> bytes:
        return self.model_dump_json().encode()

    def state_at(self, modified: datetime, now: datetime) -> State:
        age_s = (now - modified).total_seconds()
        return "expired" if self.state == "held" and age_s - CLOCK_GRAIN_S >= self.ttl_s else self.state


class Lease:
    """A claim that we hold, until `expires_at` on the event loop's clock unless it is renewed."""

    def __init__(self, blobs: Blobs, key: str, record: _Record, etag: str, written_at: float) -> None:
        """Only Leases.claim makes one."""
        self._blobs = blobs
        self._key = key
        self._record = record
        self._etag = etag
        self._writing = asyncio.Lock()
        self.expires_at = written_at + record.ttl_s
        self.over = False
        self.lost = False  # as far as we know
        self._went_on = False
        self.deadline: asyncio.Timeout | None = None  # what ends with the lease, and lives on with it

    @property
    def attempt(self) -> int:
        """The fencing number: what we write goes under it."""
        return self._record.attempt

    @property
    def ttl_s(self) -> float:
        """How long the lease lasts after each renewal."""
        return self._record.ttl_s

    def went_on(self) -> None:
        """Say that the attempt gets somewhere: with the next renewal, the failures before it are forgiven."""
        self._went_on = True

    async def assure(self) -> None:
        """Make sure that the lease is still ours, before something is written. Raises LeaseLost or Unavailable."""
        if self.lost or (not self.over and asyncio.get_running_loop().time() >= self.expires_at):
            await self.renew()

    async def renew(self) -> None:
        """Hold on to the lease for another `ttl_s`. Raises LeaseLost when another took it, or Unavailable."""
        await self._write("held")

    async def finish(self) -> None:
        """Mark the work as done, so that nobody claims it again. Raises LeaseLost or Unavailable."""
        await self._write("finished")

    async def release(self, *, failed: bool = False, reason: str = "") -> None:
        """Let the next one claim at once, under the next attempt number. Raises LeaseLost or Unavailable.

        `failed` counts the attempt among those that came to nothing, and `reason` says why it did.
        """
        await self._write("released", failures=1 if failed else 0, reason=reason)

    async def _write(self, state: Literal["held", "released", "finished"], failures: int = 0, reason: str = "") -> None:
        async with self._writing:
            if self.over and (state == "held" or state != self._record.state):
                raise LeaseLost(f"{self._key}: attempt {self.attempt} is over")
            now = asyncio.get_running_loop().time()
            before = 0 if self._went_on else self._record.failures
            record = self._record.model_copy(update={
                "state": state, "writes": self._record.writes + 1, "failures": before + failures,
                "reason": reason or self._record.reason,
            })  # fmt: skip
            try:
                etag = await self._blobs.replace(self._key, record.to_bytes(), self._etag)
            except BlobChanged:
                etag = await self._write_again(record)
            self._record, self._etag = record, etag
            self.expires_at = now + self.ttl_s
            self.over = state != "held"
            if self.deadline is not None and not self.deadline.expired():
                self.deadline.reschedule(None if self.over else self.expires_at)

    async def _write_again(self, record: _Record) -> str:
        """Write over our own earlier write whose answer was lost; if it was another's, the lease is lost."""
        try:
            found = await self._blobs.get(self._key)
            if _read(found.data).token == record.token:
                return await self._blobs.replace(self._key, record.to_bytes(), found.etag)
        except (BlobChanged, BlobNotFound):
            pass
        self.lost = True
        raise LeaseLost(f"{self._key}: attempt {self.attempt} was taken over")


@dataclass(frozen=True)
class Leases:
    """Claims and inspects leases in a bucket, in the name of `owner`."""

    blobs: Blobs
    owner: str
    ttl_s: float = 30

    async def claim(self, key: str) -> Lease | None:
        """Take the lease if nobody holds it; None when somebody does, or when the work is finished.

        Raises Unavailable; a claim that was written although its answer was lost lapses after `ttl_s`.
        """
        mine = _Record(owner=self.owner, attempt=1, token=uuid.uuid4().hex, ttl_s=self.ttl_s)
        now = asyncio.get_running_loop().time()
        etag = await self.blobs.create(key, mine.to_bytes())
        if etag is not None:
            return Lease(self.blobs, key, mine, etag, now)
        found = await self._find(key)
        if found is None:
            return None
        record, state, etag = found
        if record.token == mine.token:  # our own write, whose first answer was lost
            return Lease(self.blobs, key, mine, etag, now)
        if state in ("held", "finished"):
            return None
        failures = record.failures + (1 if state == "expired" else 0)
        inherited = {"attempt": record.attempt + 1, "failures": failures, "reason": record.reason}
        following = mine.model_copy(update=inherited)
        return await self._take_over(key, following, etag)

    async def look(self, key: str) -> LeaseState | None:
        """Say how a lease stands; None when nobody ever claimed it. Raises Unavailable."""
        found = await self._find(key)
        if found is None:
            return None
        record, state, _ = found
        lapsed = 1 if state == "expired" else 0
        return LeaseState(record.owner, record.attempt, state, record.failures + lapsed, record.reason)

    async def _take_over(self, key: str, mine: _Record, etag: str) -> Lease | None:
        now = asyncio.get_running_loop().time()
        try:
            return Lease(self.blobs, key, mine, await self.blobs.replace(key, mine.to_bytes(), etag), now)
        except BlobChanged:
            found = await self._find(key)
        if found is None or found[0].token != mine.token:
            return None
        return Lease(self.blobs, key, mine, found[2], now)

    async def _find(self, key: str) -> tuple[_Record, State, str] | None:
        """Read a lease and its age as of one and the same write."""
        for _ in range(_READS):
            info = await self.blobs.head(key)
            if info is None:
                return None
            try:
                blob = await self.blobs.get(key)
            except BlobNotFound:
                return None
            if blob.etag == info.etag:
                record = _read(blob.data)
                return record, record.state_at(info.modified, info.store_time), blob.etag
        record = _read(blob.data)  # written over and over while we looked, so somebody is alive
        return record, record.state, blob.etag


@asynccontextmanager
async def keep(lease: Lease, every_s: float | None = None, *, through_outages: bool = False) -> AsyncIterator[Lease]:
    """Renew a lease in the background while the body runs; a lost lease cancels the body and raises LeaseLost.

    It is renewed every `every_s` seconds, by default three times in its life. A store that is away is
    asked again until the lease would have expired: then it counts as lost; `through_outages` asks for as
    long as it takes, and only a lease that another took ends the body: where the store is away for
    everybody, nobody can. The body may finish or release the lease itself, and run on.
    """
    pause_s = lease.ttl_s / 3 if every_s is None else every_s
    try:
        async with asyncio.timeout_at(None if through_outages else lease.expires_at) as deadline:
            lease.deadline = None if through_outages else deadline
            renewing = asyncio.create_task(_renew(lease, pause_s, deadline))
            try:
                yield lease
            finally:
                lease.deadline = None
                renewing.cancel()
                (failure,) = await asyncio.gather(renewing, return_exceptions=True)
    except TimeoutError as error:
        if not deadline.expired():
            raise
        if isinstance(failure, Exception):
            raise failure from error
        raise LeaseLost(f"attempt {lease.attempt} could not be renewed in time") from error


async def _renew(lease: Lease, pause_s: float, deadline: asyncio.Timeout) -> None:
    next_s = pause_s
    while not lease.over:
        await asyncio.sleep(next_s)
        try:
            next_s = await _try_to_renew(lease, pause_s)
        except Exception:  # whatever stops the renewals stops the body
            if not lease.over and not deadline.expired():
                deadline.reschedule(0)  # the past: at once
            raise


async def _try_to_renew(lease: Lease, pause_s: float) -> float:
    """Renew unless it is over; return how long to wait before the next time."""
    try:
        if not lease.over:
            await lease.renew()
    except Unavailable:
        return min(pause_s, lease.ttl_s / 10)
    return pause_s


def _read(data: bytes) -> _Record:
    return _Record.model_validate_json(data)
