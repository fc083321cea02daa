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


class JobQueue(Protocol):
    """A durable queue of jobs, such as `jobs.train`, or of requests to a decider, such as `requests.trainer`."""

    async def put(self, queue: str, job: Job) -> None:
        """Add a job; return when the broker confirmed it. Raises Unavailable."""
        ...

    async def take(self, queue: str, wait_s: float = 1.0) -> Job | None:
        """Take the next job and acknowledge it; None when none came within `wait_s` seconds.

        A taker that dies afterwards loses nothing: what was decided stands in the stream, and the
        decider queues again whatever nobody holds a lease on. Raises Unavailable.
        """
        ...

    async def close(self) -> None:
        """Release all connections."""
        ...
