"""The decider's side of sharing: offers archives to workers, and waits for what they leave."""

from __future__ import annotations

import asyncio
import functools
import time
from dataclasses import dataclass

import structlog

from augmenter import metrics
from augmenter.making import Maker, Order, Shelved
from augmenter.orders import QUEUE, ArchiveLeft, job_of
from augmenter.store import Store
from labelstream.jobs.desk import Desk, Standing
from labelstream.jobs.ports import Job
from labelstream.service.patience import patiently

PATIENCE_S = 60.0  # an archive that no worker took for so long is shown as degraded

log = structlog.get_logger()


@dataclass(frozen=True)
class Sharing:
    """Has archives made by whoever takes them from the queue."""

    store: Store
    desk: Desk
    workshop: Maker  # makes what workers gave up, each image in a process that it can't take along
    poll_s: float = 0.5

    async def make(self, order: Order) -> Shelved:
        """Return what a worker left. A worker that dies is followed by another."""
        job = job_of(order)
        with metrics.OFFERED.track_inprogress():
            ending = await self._ending(job)
        if ending.failure is not None:
            log.warning("order.given_up", archive=order.key, rule=ending.failure.rule, reason=ending.failure.reason)
        elif ending.result is not None:
            left = ArchiveLeft.model_validate_json(ending.result)
            if left.file is None or await self.store.keep(left.file.key):
                return Shelved(left.contents, left.file)
            log.warning("order.lost", archive=order.key)  # it was left long ago, before we were started again
        return await self.workshop.make(order)

    async def _ending(self, job: Job) -> Standing:
        health, since = self.store.health, time.monotonic()
        try:
            while True:
                standing = await patiently(health, "object store", lambda: self.desk.standing(job.project, job.id))
                if standing is not None and (standing.result is not None or standing.failure is not None):
                    return standing
                await patiently(health, "broker", functools.partial(self.desk.offer, QUEUE, job, standing))
                if standing is not None and standing.state == "held":
                    since = time.monotonic()
                health.degraded(QUEUE, _lonely(time.monotonic() - since))
                await asyncio.sleep(self.poll_s)
        finally:
            health.degraded(QUEUE, None)


def _lonely(waited_s: float) -> str | None:
    if waited_s < PATIENCE_S:
        return None
    return (
        f"no worker took an archive for {waited_s:.0f} s: start `augmenter work` with the same versions of Augmenter "
        "and its libraries as the decider, or let this service work too (LABELSTREAM_AUGMENTER__WORK=true)"
    )
