"""Room on a worker's disk: made by removing what can be made again, and waited for when that is not enough."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from labelstream.errors import Rejected
from labelstream.jobs.worker import TryAgain
from labelstream.service.health import Health
from labelstream_yolo.child import EngineFailedError
from trainer.work.scratch import Scratch

NEEDED_BYTES = 64 << 20  # with less it is not worth the try
WHAT = "disk of the worker"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

log = structlog.get_logger()


class DiskFull(Exception):
    """Something could not be written for want of room."""


def is_full(error: OSError) -> bool:
    """Say whether an error means that there is no room, on the disk or of a quota."""
    return error.errno in _FULL


@contextmanager
def noticing_full_disks() -> Iterator[None]:
    """Raise DiskFull for whatever says that there is no room: our own writes, a dataset's, the engine's."""
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        raise DiskFull(f"{error.filename or 'a file'} can't be written: {error.strerror}") from error
    except Rejected as error:
        if error.rule != "disk.full":
            raise
        raise DiskFull(error.reason) from error
    except EngineFailedError as error:
        if error.rule != "disk-full":
            raise
        raise DiskFull(error.reason) from error


@dataclass
class Room:
    """The room that one attempt has in a scratch folder."""

    scratch: Scratch
    health: Health
    patience_s: float
    pause_s: float = 5.0
    needed_bytes: int = NEEDED_BYTES
    _full_since: float | None = field(default=None, init=False)

    def went_on(self) -> None:
        """Say that there was room enough to get somewhere: patience begins anew."""
        self._full_since = None

    async def make(self, full: DiskFull, in_use: Collection[Path]) -> None:
        """Return when it may be tried again. Raises TryAgain when patience is over."""
        began = time.monotonic()
        since = self._full_since = began if self._full_since is None else self._full_since
        self._say(full)
        try:
            if await asyncio.to_thread(self._free, in_use):
                return
            while time.monotonic() - since < self.patience_s:
                self._say(full)
                await asyncio.sleep(self.pause_s)
                if await asyncio.to_thread(self._is_there):
                    return
            raise TryAgain(f"{full}; no room for {self.patience_s:g} s, {self._free_mb()} MB free")
        finally:
            self.health.degraded(WHAT, None)
            log.info("disk.waited", seconds=round(time.monotonic() - began, 1), free_mb=self._free_mb())

    def _free(self, in_use: Collection[Path]) -> bool:
        """Remove one thing after the other; say whether that made enough room."""
        for folder in self.scratch.expendable(in_use):
            self.scratch.remove(folder)
            log.warning("disk.freed", removed=str(folder), free_mb=self._free_mb())
            if self._is_there():
                return True
        return False

    def _is_there(self) -> bool:
        """Try to have as much room as it takes; quotas count, too."""
        try:
            with tempfile.TemporaryFile(dir=self.scratch.root) as file:
                os.posix_fallocate(file.fileno(), 0, self.needed_bytes)
        except OSError as error:
            if not is_full(error):
                raise
            return False
        return True

    def _say(self, full: DiskFull) -> None:
        wanted = f"{self.needed_bytes / 1e6:,.0f} MB are wanted, {self._free_mb()} MB are free"
        self.health.degraded(WHAT, f"{full}; {wanted} in {self.scratch.root}: make room there")
        log.warning("disk.full", reason=str(full), free_mb=self._free_mb(), wanted_mb=round(self.needed_bytes / 1e6))

    def _free_mb(self) -> int:
        return round(shutil.disk_usage(self.scratch.root).free / 1e6)
