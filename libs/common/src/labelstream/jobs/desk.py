"""The decider's side of jobs: offers them to workers, and looks at what workers left in the store."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from labelstream import keys
from labelstream.blobs.leases import Leases, State
from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.jobs.ports import Job, JobQueue
from labelstream.jobs.worker import FAILURE, LEASE, RESULT, Failure

MAX_FAILURES = 5  # a job that ended so many workers is not offered to another


@dataclass(frozen=True)
class Standing:
    """How a job stands. Only what the lease's own attempt left is ever looked at."""

    attempt: int
    worker: str
    state: State
    result: bytes | None = None
    failure: Failure | None = None


@dataclass
class Desk:
    """Offers jobs and follows them; every method raises Unavailable when the store or the broker is away."""

    queue: JobQueue
    leases: Leases
    blobs: Blobs
    offer_again_s: float = 600.0  # should the queue have lost it
    _offered: dict[str, tuple[float, int]] = field(default_factory=dict)  # job → when, after which attempt

    async def standing(self, project: str, job_id: str) -> Standing | None:
        """Look at a job; None when no worker ever claimed it."""
        lease = await self.leases.look(keys.job(project, job_id, LEASE))
        if lease is None:
            return None
        standing = Standing(lease.attempt, lease.owner, lease.state)
        if lease.state == "finished":
            result = await self.left(project, job_id, lease.attempt, RESULT)
            if result is not None:
                return Standing(lease.attempt, lease.owner, lease.state, result=result)
            failure = await self.left(project, job_id, lease.attempt, FAILURE)
            said = (
                Failure.model_validate_json(failure)
                if failure
                else Failure(rule="job.no_result", reason="nothing left")
            )
            return Standing(lease.attempt, lease.owner, lease.state, failure=said)
        if lease.state != "held" and lease.failures >= MAX_FAILURES:
            reason = f"{lease.failures} workers took the job and none came to an end; the last was {lease.owner}"
            return Standing(
                lease.attempt, lease.owner, lease.state, failure=Failure(rule="job.too_many_attempts", reason=reason)
            )
        return standing

    async def left(self, project: str, job_id: str, attempt: int, name: str) -> bytes | None:
        """Return the file `name` that an attempt left, if it did."""
        try:
            return (await self.blobs.get(keys.attempt(project, job_id, attempt, name))).data
        except BlobNotFound:
            return None

    async def offer(self, queue_name: str, job: Job, standing: Standing | None) -> None:
        """Queue a job that nobody holds, and again after a while if still nobody does; repeats do no harm."""
        if standing is not None and standing.state in ("held", "finished"):
            return
        attempt = standing.attempt if standing else 0
        offered_at, for_attempt = self._offered.get(job.id, (0.0, -1))
        if attempt > for_attempt or time.monotonic() - offered_at >= self.offer_again_s:
            await self.queue.put(queue_name, job)
            self._offered[job.id] = time.monotonic(), attempt
