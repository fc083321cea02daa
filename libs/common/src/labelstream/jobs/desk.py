"""The decider's side of jobs: offers them to workers, and looks at what workers left in the store."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from pydantic import ValidationError

from labelstream import keys
from labelstream.blobs.leases import Leases, LeaseState, State
from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.errors import Unavailable
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
    """Offers jobs and follows them; every method raises Unavailable when the store or the broker is away.

    Once the store is back, owners whose leases lapsed meanwhile get `grace_s` to renew them before their jobs are
    offered to others.
    """

    queue: JobQueue
    leases: Leases
    blobs: Blobs
    offer_again_s: float = 600.0  # should the queue have lost it
    grace_s: float = 0.0
    _offered: dict[str, tuple[float, int]] = field(default_factory=dict)  # job → when, after which attempt
    _away_at: float | None = None  # when the store was found away last

    async def standing(self, project: str, job_id: str) -> Standing | None:
        """Look at a job; None when no worker ever claimed it."""
        lease = await self._look(keys.job(project, job_id, LEASE))
        if lease is None:
            return None
        standing = Standing(lease.attempt, lease.owner, lease.state)
        if lease.state == "finished":
            result = await self.left(project, job_id, lease.attempt, RESULT)
            if result is not None:
                return Standing(lease.attempt, lease.owner, lease.state, result=result)
            failure = await self.left(project, job_id, lease.attempt, FAILURE)
            return Standing(lease.attempt, lease.owner, lease.state, failure=_said(failure))
        if lease.state != "held" and lease.failures >= MAX_FAILURES and not self._in_grace(lease.state):
            reason = f"{lease.failures} workers took the job and none came to an end; the last was {lease.owner}"
            reason += f": {lease.reason}" if lease.reason else ""
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
        if standing is not None and (standing.state in ("held", "finished") or self._in_grace(standing.state)):
            return
        attempt = standing.attempt if standing else 0
        offered_at, for_attempt = self._offered.get(job.id, (0.0, -1))
        if attempt > for_attempt or time.monotonic() - offered_at >= self.offer_again_s:
            await self.queue.put(queue_name, job)
            self._offered[job.id] = time.monotonic(), attempt

    async def _look(self, key: str) -> LeaseState | None:
        """Look at a lease, and remember when the store let us wait."""
        began = time.monotonic()
        try:
            lease = await self.leases.look(key)
        except Unavailable:
            self._away_at = time.monotonic()
            raise
        if time.monotonic() - began > self.grace_s / 4:  # it was away, and came back before we gave up
            self._away_at = time.monotonic()
        return lease

    def _in_grace(self, state: State) -> bool:
        """Say whether a lease may have lapsed only because its owner could not reach the store."""
        away = self._away_at
        return state == "expired" and away is not None and time.monotonic() - away < self.grace_s


def _said(failure: bytes | None) -> Failure:
    """Return why an attempt failed; one that is over has failed, whatever it left."""
    if failure is None:
        return Failure(rule="job.no_result", reason="nothing left")
    try:
        return Failure.model_validate_json(failure)
    except ValidationError as error:
        return Failure(rule="job.unreadable_failure", reason=str(error))
