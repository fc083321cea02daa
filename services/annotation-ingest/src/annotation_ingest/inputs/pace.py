"""Holds one input to its quota of messages."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from annotation_ingest import metrics
from labelstream.service.health import Health


@dataclass
class Pace:
    """Lets so many messages a second through; what is not used up is saved for at most a second."""

    stream: str
    messages_per_s: float | None
    health: Health
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _due: float = -math.inf  # when the next message may be taken

    def at_most(self, count: int) -> int:
        """Return how many messages to read at once: no more than a second's worth."""
        return count if self.messages_per_s is None else max(1, min(count, int(self.messages_per_s)))

    async def keep(self, count: int) -> None:
        """Wait until `count` messages, which were read, may be handled; say so meanwhile."""
        if self.messages_per_s is None:
            return
        now = self.clock()
        self._due = max(self._due, now - 1) + count / self.messages_per_s
        if self._due <= now:
            return
        self._tell(f"its quota of {self.messages_per_s:g} messages a second holds it up")
        try:
            await self.sleep(self._due - now)
        finally:
            metrics.PACED.labels(self.stream).inc(max(self.clock() - now, 0))
            self._tell(None)

    def _tell(self, why: str | None) -> None:
        self.health.fact(f"input {self.stream}", {"paced": why} if why else None)
