"""Takes what people and devices ask the decider for, and answers people where the answer is awaited.

requests.exporter   what a person asks for, one after the other but for twins, which take long: each is answered, a bad
                    one with rule, reason and hint
requests.grants     a device's wish for a grant, many at once: what comes of it lies in the resources bucket, or not
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from pydantic import TypeAdapter, ValidationError

from exporter.access import metrics
from labelstream.answers import answer_id_in, read_answer, write_answer
from labelstream.blobs.ports import Blobs
from labelstream.errors import Rejected, Unavailable
from labelstream.jobs.ports import Job, JobQueue, Taken
from labelstream.model_requests import GRANTS_QUEUE, QUEUE, Answer, GrantRequest, ModelRequest
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.values import Project, Value

V = TypeVar("V", bound=Value)

Handler = Callable[[str, ModelRequest], Awaitable[Answer]]  # raises Rejected: it is refused; Unavailable: tried again
Grant = Callable[[str, GrantRequest], Awaitable[None]]

GRANTS_AT_ONCE = 16
_WAIT_S = 5.0
_PROJECT: TypeAdapter[str] = TypeAdapter(Project)

log = structlog.get_logger()


@dataclass(frozen=True)
class Requests:
    """Serves both queues. Whatever comes twice is harmless; what is Unavailable is tried until it goes through."""

    queue: JobQueue
    data: Blobs
    handlers: Mapping[type[Any], Handler]  # by the class of what is asked for
    grant: Grant
    health: Health

    async def serve(self) -> None:
        """Answer until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._serve_people(tasks))
            tasks.create_task(self._serve_devices(tasks))

    async def answer(self, job: Job) -> None:
        """Do what a person asks for, unless it was answered before, and answer. Raises Unavailable."""
        answer_id = answer_id_in(job.payload) if _has_project(job) else None
        if answer_id is not None and await read_answer(Answer, self.data, job.project, answer_id) is not None:
            return
        answer = await self._answered(job)
        if answer_id is not None:
            await write_answer(self.data, job.project, answer_id, answer)

    async def make(self, job: Job) -> None:
        """Make a grant; who may not have it is not told here: the public API says so. Raises Unavailable."""
        try:
            request = _read(GrantRequest, job)
            await self.grant(job.project, request)
        except Rejected as error:
            metrics.REFUSED.labels(error.rule).inc()
            log.warning("grant.refused", request=job.id, project=job.project, rule=error.rule, reason=error.reason)

    async def _serve_people(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            taken = await self._next(QUEUE)
            if taken is None:
                continue
            if _takes_long(taken.job):  # nobody who revokes or rolls back waits for it
                tasks.create_task(self._settle(taken, self.answer))
            else:
                await self._settle(taken, self.answer)

    async def _serve_devices(self, tasks: asyncio.TaskGroup) -> None:
        gate = asyncio.Semaphore(GRANTS_AT_ONCE)

        async def settle(taken: Taken) -> None:
            try:
                await self._settle(taken, self.make)
            finally:
                gate.release()

        while True:
            await gate.acquire()
            taken = await self._next(GRANTS_QUEUE)
            if taken is None:
                gate.release()
            else:
                tasks.create_task(settle(taken))

    async def _next(self, name: str) -> Taken | None:
        return await patiently(self.health, "job queue", lambda: self.queue.take(name, _WAIT_S))

    async def _settle(self, taken: Taken, do: Callable[[Job], Awaitable[None]]) -> None:
        await patiently(self.health, "store or broker", lambda: do(taken.job))
        try:
            await taken.done()
        except Unavailable:  # its connection is gone: it is delivered again, and found done
            log.info("request.redelivered", request=taken.job.id)

    async def _answered(self, job: Job) -> Answer:
        try:
            request = _read(ModelRequest, job)
            answer = await self._handler(request)(job.project, request)
        except Rejected as error:
            metrics.REFUSED.labels(error.rule).inc()
            log.error("request.refused", request=job.id, project=job.project, rule=error.rule, reason=error.reason)
            return Answer(outcome="refused", rule=error.rule, reason=error.reason, hint=error.hint)
        log.info("request.answered", request=job.id, project=job.project, ask=request.what.ask, outcome=answer.outcome)
        return answer

    def _handler(self, request: ModelRequest) -> Handler:
        handler = self.handlers.get(type(request.what))
        if handler is None:
            hint = "Update the exporter, or its settings."
            raise Rejected("request.unknown", f"this exporter does not {request.what.ask}", hint)
        return handler


def _read(kind: type[V], job: Job) -> V:
    """Return the request in a job. Raises Rejected, which quotes nothing of it: it may hold a password's hash."""
    if not _has_project(job):
        raise Rejected(
            "request.bad_project", f"{job.project!r} names no project", "Use small letters, digits, hyphens."
        )
    try:
        return kind.model_validate(job.payload)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
        said = ((".".join(map(str, each["loc"])), each["msg"].removeprefix("Value error, ")) for each in found)
        reason = "; ".join(f"{where}: {message}" if where else message for where, message in said)
        hint = "Ask with `labelstream models`, `devices`, `users` or `keys`."
        raise Rejected("request.unreadable", reason, hint) from None


def _takes_long(job: Job) -> bool:
    """Say whether a whole artifact has to be read and written."""
    what = job.payload.get("what")
    return isinstance(what, dict) and what.get("ask") == "write-twin"


def _has_project(job: Job) -> bool:
    """Say whether the project's name is one, before it stands in a key."""
    try:
        _PROJECT.validate_python(job.project)
    except ValidationError:
        return False
    return True
