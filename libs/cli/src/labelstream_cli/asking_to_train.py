"""Asking the trainer for a training of what is annotated so far."""

from __future__ import annotations

from dataclasses import dataclass

from labelstream.jobs.ports import Job, JobQueue
from labelstream.values import digest_of

QUEUE = "requests.trainer"


@dataclass(frozen=True)
class Asked:
    """A request that was queued."""

    request: str
    project: str
    cut: int


async def ask_for_training(queue: JobQueue, project: str, cut: int) -> Asked:
    """Queue a request for a training of everything up to `cut`; the same again is the same request."""
    request = digest_of(["train", project, cut])
    await queue.put(QUEUE, Job(project=project, id=request, payload={"cut": cut}))
    return Asked(request, project, cut)
