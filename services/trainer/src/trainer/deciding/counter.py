"""The trainer's counter: takes what people ask for by hand, and answers each asking where it is awaited."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace

import structlog

from labelstream.answers import answer_id_in, write_answer
from labelstream.blobs.ports import Blobs
from labelstream.errors import Rejected, Unavailable
from labelstream.jobs.ports import JobQueue, Taken
from labelstream.service.health import Health
from labelstream.training_requests import QUEUE, Answer, TrainingRequest
from labelstream.trainings import JobBook, JobState
from trainer import metrics
from trainer.deciding.following import Following
from trainer.deciding.requesting import Requested, Requesting
from trainer.deciding.requests import read_recipe, read_request
from trainer.recipe import TrainingRecipe

log = structlog.get_logger()


@dataclass
class Asked:
    """A request that is not settled yet."""

    taken: Taken
    answer_id: str | None
    decided: Answer | None = None  # what becomes of it, once that stands in the stream
    said: Answer | None = None  # the last answer that was written

    @property
    def project(self) -> str:
        """What it is about."""
        return self.taken.job.project


@dataclass
class Counter:
    """Keeps each request until it is settled: then it is answered, and leaves the queue."""

    queue: JobQueue
    blobs: Blobs
    book: JobBook
    requesting: Requesting
    following: Following
    recipe: TrainingRecipe
    projects: tuple[str, ...]
    health: Health
    asked: dict[tuple[str, str | None], Asked] = field(default_factory=dict)

    async def serve(self) -> None:
        """Take what came, and settle what can be settled; raises Unavailable, and goes on when called again."""
        while (taken := await self.queue.take(QUEUE, wait_s=0)) is not None:
            await self._remember(taken)
        for key, asked in list(self.asked.items()):
            answer = asked.decided or await self._settle(asked)
            if answer.outcome != "waiting":
                asked.decided = answer
            await self._answer(asked, answer)
            if answer.outcome != "waiting":
                del self.asked[key]
                await asked.taken.done()

    def waiting(self, project: str) -> list[int]:
        """Return the cuts of a project that are asked for and can't be read yet."""
        requests = (asked.taken.job.payload for asked in self.asked.values() if asked.project == project)
        return [payload["cut"] for payload in requests if isinstance(payload.get("cut"), int)]

    async def _remember(self, taken: Taken) -> None:
        """Keep a request; the same again, or delivered again, takes the older one's place."""
        answer_id = answer_id_in(taken.job.payload)
        key = taken.job.id, answer_id
        older = self.asked.get(key)
        self.asked[key] = Asked(taken, answer_id) if older is None else replace(older, taken=taken)
        if older is not None:
            with suppress(Unavailable):  # the connection that brought it is gone, and its delivery with it
                await older.taken.done()

    async def _settle(self, asked: Asked) -> Answer:
        try:
            if asked.project not in self.projects:
                known = ", ".join(self.projects)
                raise Rejected("project.unknown", f"this trainer does not train {asked.project}", f"It trains {known}.")
            return await self._do(asked.project, read_request(asked.taken.job))
        except Rejected as error:
            return Answer(outcome="refused", rule=error.rule, reason=f"{error.reason}. {error.hint}")

    async def _do(self, project: str, request: TrainingRequest) -> Answer:
        if request.cancel is not None:
            return await self._cancel(self._job(project, request.cancel), request.reason)
        if request.retry is not None:
            return await self._retry(self._job(project, request.retry))
        recipe = read_recipe(request, self.recipe)
        if request.dataset is not None:
            return _answer_of(await self.requesting.train(project, "request", request.dataset, recipe))
        cut, readable = request.cut or 0, self.requesting.datasets.readable(project)
        if cut > readable:
            reason = f"annotations up to offset {cut} are asked for, and up to {readable} they are augmented"
            return Answer(outcome="waiting", reason=reason)
        return _answer_of(await self.requesting.train(project, "request", cut, recipe))

    async def _cancel(self, state: JobState, reason: str) -> Answer:
        if state.ended is None:
            await self.following.cancel(state, reason)
        if state.state in ("finished", "failed"):
            raise Rejected("job.ended", f"the job {state.job} has ended: {state.state}", "There is nothing to cancel.")
        return Answer(outcome="cancelled" if state.state == "cancelled" else "cancelling", job=state.job)

    async def _retry(self, state: JobState) -> Answer:
        if state.ended is None:
            raise Rejected("job.not_ended", f"the job {state.job} is {state.state}", "Cancel it first, or wait for it.")
        if not state.came_to_nothing:
            hint = "Another training needs other annotations, or another recipe."
            raise Rejected("job.finished", f"the job {state.job} is finished", hint)
        return _answer_of(await self.requesting.retry(state))

    def _job(self, project: str, job: str) -> JobState:
        state = self.book.jobs.get(job)
        if state is None or state.project != project:
            raise Rejected("job.unknown", f"{project} has no job {job}", "`labelstream jobs list` shows them.")
        return state

    async def _answer(self, asked: Asked, answer: Answer) -> None:
        """Say what became of a request; a person who left no place to answer to can only look at /readyz."""
        if answer == asked.said:
            return
        if asked.answer_id is not None:
            await write_answer(self.blobs, asked.project, asked.answer_id, answer)
        asked.said = answer
        what = f"request for {asked.project}"
        said = {"request": asked.taken.job.id, "project": asked.project}
        if answer.outcome == "refused":
            metrics.REFUSED.labels(answer.rule).inc()
            log.error("request.refused", **said, rule=answer.rule, reason=answer.reason)
            if asked.answer_id is None:
                self.health.degraded(what, f"{answer.rule}: {answer.reason}")
        else:
            log.info("request.answered", **said, outcome=answer.outcome, job=answer.job)
            self.health.degraded(what, None)


def _answer_of(requested: Requested) -> Answer:
    return Answer(outcome="requested" if requested.is_new else "known", job=requested.job)
