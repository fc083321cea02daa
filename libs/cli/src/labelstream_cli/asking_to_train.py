"""Asking the trainer for a training: on what is annotated up to an offset, or on a dataset that is stored."""

from __future__ import annotations

from dataclasses import dataclass

from labelstream.jobs.ports import Job, JobQueue
from labelstream.values import FileRef, digest_of

QUEUE = "requests.trainer"


@dataclass(frozen=True)
class Asked:
    """A request that was queued."""

    request: str
    project: str
    cut: int  # offset of annotation-events; that of the dataset, where one is named
    dataset: str | None = None  # its id


async def ask_for_training(queue: JobQueue, project: str, cut: int) -> Asked:
    """Queue a request for a training of everything up to `cut`; the same again is the same request."""
    request = digest_of(["train", project, cut])
    await queue.put(QUEUE, Job(project=project, id=request, payload={"cut": cut}))
    return Asked(request, project, cut)


async def ask_for_training_on(queue: JobQueue, project: str, dataset: str, cut: int, description: FileRef) -> Asked:
    """Queue a request for a training on a stored dataset; the same again is the same request."""
    request = digest_of(["train", project, description.sha256])
    await queue.put(QUEUE, Job(project=project, id=request, payload={"dataset": description.model_dump()}))
    return Asked(request, project, cut, dataset)
