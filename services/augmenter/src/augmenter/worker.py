"""Makes archives that a decider offers: the worker's side of the queue `jobs.augment`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog
from pydantic import ValidationError

from augmenter.making import Maker, Order, Shelved
from augmenter.orders import QUEUE, ArchiveLeft, ArchiveOrder, order_of
from augmenter.store import Store
from labelstream.errors import Rejected
from labelstream.jobs.ports import Job, JobQueue, Taken
from labelstream.jobs.worker import Attempt
from labelstream.service.health import Health

PAUSE_S = 2.0  # behind an order that was handed back, so that others see it first

log = structlog.get_logger()


@dataclass(frozen=True)
class ArchiveWork:
    """Makes one archive after the other."""

    store: Store
    maker: Maker

    async def do(self, attempt: Attempt) -> ArchiveLeft:
        """Make what one job asks for. Raises Rejected for an order that this worker reads otherwise."""
        unlike = why_not(attempt.job)
        if unlike is not None:
            raise unlike
        order = order_of(attempt.job.project, ArchiveOrder.model_validate(attempt.job.payload))
        shelved = await self.maker.make(order)
        if shelved.new and await self._erased_meanwhile(order, shelved):
            # Nobody may hear of this order: an erasure that was answered meanwhile did not find its archive.
            await self.store.delete(order.key)
            shelved = await self.maker.make(order)
        return ArchiveLeft(contents=shelved.contents, file=shelved.file)

    async def _erased_meanwhile(self, order: Order, shelved: Shelved) -> bool:
        """Say whether an image that the archive shows has left the store: that is how an erasure begins."""
        shown = {made.image for made in shelved.contents.made}
        found = [self.store.has(sample.image.key) for sample in order.samples if sample.image.sha256 in shown]
        return not all(await asyncio.gather(*found))


def why_not(job: Job) -> Rejected | None:
    """Say why this worker must not do a job: it would put other pixels under the name that the decider gave."""
    try:
        asked = ArchiveOrder.model_validate(job.payload)
        order = order_of(job.project, asked)
    except ValidationError as error:
        return Rejected("order.unreadable", f"{error}", "Run the same version of Augmenter here as the decider.")
    if (order.recipe.digest, order.digest) == (asked.recipe_digest, asked.digest):
        return None
    reason = (
        f"recipe {order.recipe.name!r} has the digest {order.recipe.digest[:12]} here and {asked.recipe_digest[:12]} "
        "at the decider: other versions of Augmenter or of its libraries would put other pixels under the same name"
    )
    return Rejected("order.other_versions", reason, "Install what constraints.txt says, here or there.")


@dataclass(frozen=True)
class OwnKind:
    """A queue seen through a worker's eyes: orders that it must not do go back, for others to take."""

    queue: JobQueue
    health: Health
    pause_s: float = PAUSE_S

    async def put(self, queue: str, job: Job) -> None:
        """Add a job."""
        await self.queue.put(queue, job)

    async def take(self, queue: str, wait_s: float = 1.0) -> Taken | None:
        """Take the next order that this worker can do; None when none came, or one that it can't do."""
        taken = await self.queue.take(queue, wait_s)
        if taken is None:
            return None
        unlike = why_not(taken.job)
        if unlike is None:
            self.health.degraded(QUEUE, None)
            return taken
        self.health.degraded(QUEUE, str(unlike))
        log.warning("order.handed_back", job=taken.job.id, rule=unlike.rule, reason=unlike.reason)
        await asyncio.sleep(self.pause_s)
        await self.queue.put(queue, taken.job)
        await taken.done()
        return None

    async def close(self) -> None:
        """Release the queue's connections."""
        await self.queue.close()
