"""The worker's side of a job: take, claim, acknowledge, work, leave the result under the attempt's number."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import structlog

from labelstream import keys
from labelstream.blobs.leases import Lease, LeaseLost, Leases, keep
from labelstream.blobs.ports import Blobs
from labelstream.errors import Rejected, Unavailable
from labelstream.jobs.ports import Job, JobQueue, Taken
from labelstream.service import metrics
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.service.tracing import Work, begin
from labelstream.values import FileRef, Value

LEASE, RESULT, FAILURE = "lease.json", "result.json", "failure.json"

log = structlog.get_logger()


class TryAgain(Exception):
    """This attempt came to nothing, but another may succeed."""


class Failure(Value):
    """What an attempt leaves when it failed for good."""

    rule: str
    reason: str


@dataclass(frozen=True)
class Attempt:
    """One go at a job. What it leaves lies under its own number, where no other attempt writes."""

    job: Job
    number: int
    blobs: Blobs
    health: Health
    lease: Lease | None = None
    work: Work = field(default_factory=Work)  # what the traces are told

    @property
    def is_lost(self) -> bool:
        """Whether another attempt took the job over, as far as we know."""
        return self.lease is not None and self.lease.lost

    def went_on(self) -> None:
        """Say that the attempt got somewhere, so that it does not count among those that came to nothing."""
        if self.lease is not None:
            self.lease.went_on()

    def key(self, name: str) -> str:
        """Return where the attempt's file `name` lies."""
        return keys.attempt(self.job.project, self.job.id, self.number, name)

    async def put(self, name: str, data: bytes) -> FileRef:
        """Leave a small file; waits while the store is away. Raises LeaseLost."""
        await self._leave(lambda: self.blobs.put(self.key(name), data))
        return FileRef.of(self.key(name), data)

    async def upload(self, path: Path, name: str) -> FileRef:
        """Leave a file of any size; waits while the store is away. Raises LeaseLost."""
        await self._leave(lambda: self.blobs.upload(path, self.key(name)))
        return await asyncio.to_thread(FileRef.of_file, self.key(name), path)

    async def _leave(self, write: Callable[[], Awaitable[object]]) -> None:
        """Write once we know that the attempt is still ours: who slept for long finds out here."""

        async def write_if_ours() -> None:
            if self.lease is not None:
                await self.lease.assure()
            await write()

        await patiently(self.health, "object store", write_if_ours)


@dataclass(frozen=True)
class Worker:
    """Takes the jobs of one queue, or of several in turn, one at a time.

    `do` returns the result to leave, or raises Rejected when the job can't be done, or TryAgain.
    `afterwards` clears up once that stands in the store, for good. `through_outages` lets an attempt
    outlive a store that is away for longer than the lease: for work that is dear to begin anew.
    """

    queues: str | tuple[str, ...]
    queue: JobQueue
    leases: Leases
    blobs: Blobs
    health: Health
    do: Callable[[Attempt], Awaitable[Value]]
    afterwards: Callable[[Attempt], Awaitable[None]] | None = None
    through_outages: bool = False

    async def run(self) -> None:
        """Work until cancelled. No queue is passed over twice: a long one makes none of the others wait for ever."""
        names = (self.queues,) if isinstance(self.queues, str) else self.queues
        if not names:
            raise ValueError("a worker needs a queue to take jobs from")
        for name in names:
            metrics.introduce_queue(name)
        for name in itertools.cycle(names):
            take = partial(self.queue.take, name, 1.0 / len(names))
            taken = await patiently(self.health, "broker", take)
            if taken is not None:
                await self._work(taken, name)

    async def _work(self, taken: Taken, queue: str) -> None:
        job = taken.job
        key = keys.job(job.project, job.id, LEASE)
        lease = await patiently(self.health, "object store", lambda: self.leases.claim(key))
        try:
            await taken.done()
        except Unavailable:  # it will be delivered again, and the lease tells that somebody works on it
            log.warning("job.not_acknowledged", job=job.id)
        if lease is None:
            log.info("job.left_to_another", job=job.id)
            return
        log.info("job.claimed", job=job.id, attempt=lease.attempt)
        work = begin(queue, f"{job.id}/{lease.attempt}", job.traceparent, job=job.id, attempt=lease.attempt)
        outcome = "stopped"
        try:
            with metrics.JOB_RUNNING.labels(queue).track_inprogress(), metrics.JOB_SECONDS.labels(queue).time():
                outcome = await self._try(job, lease, work)
        finally:
            work.end("" if outcome == metrics.DONE else outcome, outcome=outcome)
        metrics.JOBS_DONE.labels(queue, outcome).inc()

    async def _try(self, job: Job, lease: Lease, work: Work) -> str:
        """Make an attempt; return how it ended, as the metrics have it."""
        try:
            async with keep(lease, through_outages=self.through_outages):
                return await self._do(Attempt(job, lease.attempt, self.blobs, self.health, lease, work), lease)
        except LeaseLost as lost:
            log.warning("job.attempt_lost", job=job.id, attempt=lease.attempt, reason=str(lost))
            return metrics.LOST
        except TryAgain as failed:
            log.warning("job.attempt_failed", job=job.id, attempt=lease.attempt, reason=str(failed))
            await self._hand_back(lease, failed=True, reason=str(failed))
            return metrics.AGAIN
        except Exception as fault:  # we die of it, and so may the next one: it counts
            await self._hand_back(lease, failed=True, reason=repr(fault))
            raise
        finally:
            await self._hand_back(lease)

    async def _do(self, attempt: Attempt, lease: Lease) -> str:
        outcome = metrics.DONE
        try:
            result = await self.do(attempt)
        except Rejected as failed:
            failure = Failure(rule=failed.rule, reason=failed.reason)
            await attempt.put(FAILURE, failure.model_dump_json().encode())
            log.warning("job.failed", job=attempt.job.id, rule=failed.rule, reason=failed.reason)
            outcome = metrics.FAILED
        else:
            await attempt.put(RESULT, result.model_dump_json().encode())
            log.info("job.done", job=attempt.job.id, attempt=attempt.number)
        await patiently(self.health, "object store", lease.finish)
        if self.afterwards is not None:
            await self.afterwards(attempt)
        return outcome

    async def _hand_back(self, lease: Lease, *, failed: bool = False, reason: str = "") -> None:
        """Let another worker go on at once when we stop in the middle."""
        try:
            if not lease.over and not lease.lost:
                await lease.release(failed=failed, reason=reason)
        except (LeaseLost, Unavailable) as error:
            log.info("job.not_released", reason=str(error))
