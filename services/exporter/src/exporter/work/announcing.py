"""A worker says what it can build, again and again for as long as it lives."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from labelstream.blobs.ports import Blobs
from labelstream.exports import Capability, announce
from labelstream.service.health import Health
from labelstream.service.patience import patiently

VALID_S = 60.0

log = structlog.get_logger()


@dataclass(frozen=True)
class Announcing:
    """Keeps a worker's announcement up. A worker that is gone is missed `valid_s` later."""

    blobs: Blobs
    worker: str
    capabilities: tuple[Capability, ...]
    health: Health
    valid_s: float = VALID_S

    @property
    def queues(self) -> tuple[str, ...]:
        """The queues of the jobs that the worker can do, each once."""
        return tuple(dict.fromkeys(one.queue for one in self.capabilities))

    async def run(self) -> None:
        """Announce until cancelled; waits while the store is away."""
        log.info("worker.announced", worker=self.worker, queues=self.queues)
        self.health.fact("queues", self.queues)
        while True:
            await patiently(self.health, "object store", self._announce, longest_pause_s=self.valid_s / 6)
            await asyncio.sleep(self.valid_s / 3)

    async def _announce(self) -> None:
        await announce(self.blobs, self.worker, self.capabilities, self.valid_s)
