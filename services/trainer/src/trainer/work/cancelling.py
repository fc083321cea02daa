"""The mark in the store that somebody wants a job to end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog
from pydantic import ValidationError

from labelstream import keys
from labelstream.blobs.ports import BlobNotFound
from labelstream.errors import Unavailable
from labelstream.jobs.worker import Attempt
from labelstream.service.patience import patiently
from labelstream_yolo.child import EngineCancelledError
from trainer.orders import CancelMark

T = TypeVar("T")

log = structlog.get_logger()


@dataclass
class Cancelling:
    """Whether an attempt is to end. Once asked for, it stays so."""

    attempt: Attempt
    every_s: float = 2.0
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    reason: str = ""

    async def look(self) -> None:
        """Look for the mark once, for as long as it takes to reach the store. Raises EngineCancelledError."""
        await patiently(self.attempt.health, "object store", self._look)
        if self.asked.is_set():
            raise EngineCancelledError(self.reason)

    async def watch(self) -> None:
        """Look for the mark again and again; a store that is away can't hold a new one."""
        while not self.asked.is_set():
            try:
                await self._look()
            except Unavailable:
                log.debug("cancel.not_looked_for", job=self.attempt.job.id)
            await asyncio.sleep(self.every_s)

    async def unless_asked(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what `work` returns; end it when the job is to end. Raises EngineCancelledError."""
        working, asking = asyncio.ensure_future(work), asyncio.ensure_future(self.asked.wait())
        try:
            await asyncio.wait({working, asking}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            raise EngineCancelledError(self.reason)
        finally:
            asking.cancel()
            working.cancel()
            await asyncio.wait({working, asking})

    async def _look(self) -> None:
        job = self.attempt.job
        try:
            mark = (await self.attempt.blobs.get(keys.job_cancel(job.project, job.id))).data
        except BlobNotFound:
            return
        try:
            self.reason = CancelMark.model_validate_json(mark).reason
        except ValidationError:  # whatever it says, it lies there
            self.reason = ""
        log.info("job.cancelled", job=job.id, reason=self.reason)
        self.asked.set()
