"""How jobs of annotating stand, and waiting for the end of one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError

from labelstream import keys
from labelstream.annotating import PROGRESS, Annotated, AnnotateRequest, Failed, Progress, Ranked
from labelstream.blobs.leases import Leases
from labelstream.blobs.ports import BlobNotFound
from labelstream.jobs.desk import Desk
from labelstream_cli.jobs.place import Place
from labelstream_cli.running import CommandFailed

State = Literal["waiting", "working", "finished", "cancelled", "failed"]
_LOOK_EVERY_S = 0.5
_DIGITS = 4  # of an id, at least


@dataclass(frozen=True)
class Standing:
    """A job and how it stands."""

    job: str
    request: AnnotateRequest
    state: State
    progress: Progress | None = None  # the newest that a worker told
    result: Annotated | None = None
    worker: str = ""
    reason: str = ""  # of a failure

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ("finished", "cancelled", "failed")

    @property
    def known(self) -> Progress | None:
        """The figures that are known."""
        return self.result or self.progress


@dataclass(frozen=True)
class Images:
    """What is told of single images of a job that is over."""

    ranked: tuple[Ranked, ...] = ()
    failed: tuple[Failed, ...] = ()


async def standing(place: Place, request: AnnotateRequest) -> Standing:
    """Return how a job stands. Raises Unavailable."""
    desk = Desk(place.queue, Leases(place.blobs, "cli"), place.blobs)
    job = request.id
    found = await desk.standing(request.project, job)
    if found is None:
        return Standing(job, request, "waiting")
    if found.result is not None:
        result = Annotated.model_validate_json(found.result)
        state: State = "cancelled" if result.cancelled else "finished"
        return Standing(job, request, state, result=result, worker=found.worker)
    progress = await _progress(desk, request, found.attempt)
    if found.failure is not None:
        reason = f"{found.failure.rule}: {found.failure.reason}"
        return Standing(job, request, "failed", progress, worker=found.worker, reason=reason)
    state = "working" if found.state == "held" else "waiting"
    return Standing(job, request, state, progress, worker=found.worker)


async def _progress(desk: Desk, request: AnnotateRequest, attempt: int) -> Progress | None:
    for number in range(attempt, 0, -1):
        told = await desk.left(request.project, request.id, number, PROGRESS)
        if told is not None:
            return Progress.model_validate_json(told)
    return None


async def wait(place: Place, request: AnnotateRequest, told: Callable[[Standing], None]) -> Standing:
    """Return how a job stands once it is over; `told` hears how it goes. Raises Unavailable."""
    while True:
        now = await standing(place, request)
        told(now)
        if now.is_over:
            return now
        await asyncio.sleep(_LOOK_EVERY_S)


async def asked_for(place: Place, project: str) -> list[AnnotateRequest]:
    """Return what was asked for, the newest first. Raises Unavailable."""
    prefix = keys.annotating(project)
    found = []
    async for info in place.blobs.list(prefix):
        if "/" in info.key.removeprefix(prefix):
            continue
        try:
            request = AnnotateRequest.model_validate_json((await place.blobs.get(info.key)).data)
        except (BlobNotFound, ValidationError):
            continue  # removed meanwhile, or of another version: not ours to tell of
        found.append(request)
    return sorted(found, key=lambda one: -one.asked_ms)


async def chosen(place: Place, project: str, told: str | None) -> AnnotateRequest:
    """Return the job that some digits name; the newest for none. Raises CommandFailed, Unavailable."""
    requests = await asked_for(place, project)
    if told is None:
        if not requests:
            raise CommandFailed(f"nothing of {project} was annotated by a model yet: `labelstream annotate FOLDER`")
        return requests[0]
    fitting = [one for one in requests if one.id.startswith(told)]
    if len(told) < _DIGITS or len(fitting) != 1:
        many = f"{len(fitting)} jobs begin with {told}" if len(told) >= _DIGITS else f"give at least {_DIGITS} digits"
        raise CommandFailed(f"{many}: `labelstream annotate list` shows them")
    return fitting[0]
