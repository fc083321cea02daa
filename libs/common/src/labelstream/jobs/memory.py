"""The double of a job queue, for takers within one process."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from dataclasses import dataclass, field

import structlog

from labelstream.errors import Rejected, Unavailable
from labelstream.jobs.codec import pack, unpack
from labelstream.jobs.ports import Job, Taken

log = structlog.get_logger()


@dataclass
class _Queues:
    """What the broker keeps."""

    bodies: defaultdict[str, deque[bytes]] = field(default_factory=lambda: defaultdict(deque))
    dead: list[bytes] = field(default_factory=list)
    arrival: asyncio.Condition = field(default_factory=asyncio.Condition)


@dataclass
class MemoryJobQueue:
    """Queues that live as long as the process (see ports.JobQueue). Set `away` to a reason to take them down."""

    away: str | None = None
    _queues: _Queues = field(default_factory=_Queues)
    _held: list[_Taken] = field(default_factory=list)

    def another(self) -> MemoryJobQueue:
        """Return another connection to the same queues."""
        return MemoryJobQueue(_queues=self._queues)

    @property
    def dead(self) -> list[bytes]:
        """The bodies that were not jobs."""
        return self._queues.dead

    async def put(self, queue: str, job: Job) -> None:
        """Add a job."""
        await self.put_body(queue, pack(job))

    async def put_body(self, queue: str, body: bytes) -> None:
        """Add any bytes, as a foreign producer might."""
        await self.answer()
        async with self._queues.arrival:
            self._queues.bodies[queue].append(body)
            self._queues.arrival.notify_all()

    async def take(self, queue: str, wait_s: float = 1.0) -> Taken | None:
        """Take the next job; None when none came within `wait_s` seconds."""
        await self.answer()
        taken = self._next(queue)
        try:
            async with asyncio.timeout(wait_s), self._queues.arrival:
                while taken is None:
                    await self._queues.arrival.wait()
                    taken = self._next(queue)
        except TimeoutError:
            return taken
        return taken

    async def close(self) -> None:
        """Put what was not acknowledged back to its queue."""
        held, self._held[:] = list(self._held), []
        async with self._queues.arrival:
            for taken in reversed(held):
                self._queues.bodies[taken.queue].appendleft(pack(taken.job))
            self._queues.arrival.notify_all()

    async def answer(self) -> None:
        """Raise Unavailable when the queues are away."""
        await asyncio.sleep(0)  # as with the real one, others run between the question and the answer
        if self.away is not None:
            raise Unavailable("job queue", self.away)

    def _next(self, queue: str) -> _Taken | None:
        bodies = self._queues.bodies[queue]
        while bodies:
            body = bodies.popleft()
            try:
                taken = _Taken(unpack(body), queue, self, self._held)
            except Rejected as rejected:
                log.warning("job.dead_lettered", queue=queue, rule=rejected.rule, reason=rejected.reason)
                self._queues.dead.append(body)
            else:
                self._held.append(taken)
                return taken
        return None


@dataclass(eq=False)
class _Taken:
    job: Job
    queue: str
    _by: MemoryJobQueue
    _held: list[_Taken]
    _is_done: bool = False

    async def done(self) -> None:
        """Acknowledge; once more does no harm."""
        if self._is_done:
            return
        await self._by.answer()
        if self not in self._held:
            raise Unavailable("job queue", "the connection that took the job was closed")
        self._held.remove(self)
        self._is_done = True
