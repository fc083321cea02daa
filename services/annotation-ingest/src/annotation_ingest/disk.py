"""A disk that is full or broken under the state directory: told apart from faults of ours, and waited for."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import structlog

from labelstream.errors import Unavailable
from labelstream.service.health import Health
from labelstream.service.patience import patiently, pauses

DISK = "disk"
PROBE_BYTES = 1 << 20
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 15.0

_CODES = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}
_PRIMARY = 0xFF  # the low byte of SQLite's extended codes

log = structlog.get_logger()


async def outlive_full_disks(
    folder: Path, health: Health, once: Callable[[], Awaitable[None]], pause_s: tuple[float, float] = (0.2, 15.0)
) -> None:
    """Run `once`, and again each time that the disk stopped it, once there is room: the log says where to go on."""
    waits = pauses(*pause_s)
    while True:
        try:
            return await once()
        except Exception as error:
            reason = disk_trouble(error)
            if reason is None:
                raise
            log.error("disk.awaited", folder=str(folder), reason=reason)
            health.waiting(DISK, f"{folder}: {reason}")
        await asyncio.sleep(next(waits))
        await patiently(health, DISK, lambda: _probe(folder))


def disk_trouble(error: BaseException) -> str | None:
    """Return what the disk said when that is what ended the work; None when it was something else."""
    for one in _all(error):
        if isinstance(one, Unavailable) and one.what == DISK:
            return one.reason
        if isinstance(one, sqlite3.OperationalError) and getattr(one, "sqlite_errorcode", 0) & _PRIMARY in _CODES:
            return f"{one} ({one.sqlite_errorname})"
    return None


def _all(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, those in its group, and what it came from: undoing a failed write may fail as well."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _all(one)
        return
    known: BaseException | None = error
    while known is not None:
        yield known
        known = known.__cause__ or known.__context__


async def _probe(folder: Path) -> None:
    """Raise Unavailable while nothing can be written."""
    probe = folder / "probe"
    try:
        probe.write_bytes(b"\0" * PROBE_BYTES)
        probe.unlink()
    except OSError as error:
        raise Unavailable(DISK, f"{folder}: {error.strerror}") from error
