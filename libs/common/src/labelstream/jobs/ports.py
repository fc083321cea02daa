"""What deciders and workers need of a job queue. `rabbitmq` is the real one, `memory` its double."""

from __future__ import annotations

from typing import Any, Protocol

from pydantic import Field

from labelstream.values import Value


class Job(Value):
    """A piece of work on a queue. It may be delivered more than once; the lease decides who does it."""

    project: str
    id: str = Field(description="derived from what is to be done")
    payload: dict[str, Any] = Field(default_factory=dict)
    flow: str = ""
    traceparent: str = ""


class Taken(Protocol):
    """A job in the hands of one taker, until it says done or goes away."""

    @property
    def job(self) -> Job:
        """The job itself."""
        ...

    async def done(self) -> None:
        """Acknowledge: the job leaves the queue. A worker says so once its lease is claimed, at once.

        Nobody may keep a job for long without saying so: the broker redelivers after `consumer_timeout`.
        """
        ...


class JobQueue(Protocol):
    """Durable queues of jobs, such as `jobs.train`, or of requests to a decider, such as `requests.trainer`."""

    async def put(self, queue: str, job: Job) -> None:
        """Add a job; return when the broker confirmed it. Raises Unavailable."""
        ...

    async def take(self, queue: str, wait_s: float = 1.0) -> Taken | None:
        """Take the next job; None when none came within `wait_s` seconds. Raises Unavailable.

        What a taker did not acknowledge is delivered to another when the taker's connection is gone.
        """
        ...

    async def close(self) -> None:
        """Release all connections; what was not acknowledged goes back to its queue."""
        ...
