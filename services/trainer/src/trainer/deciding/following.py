"""Follows the jobs that are under way: offers them to workers, says what workers found, and ends what is cancelled."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import ValidationError

from labelstream import keys
from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.errors import Rejected
from labelstream.events.training import TrainingFailed
from labelstream.jobs.desk import Desk, Standing
from labelstream.jobs.ports import Job
from labelstream.trainings import JobBook, JobState
from labelstream_datasets.loading import load_description
from trainer.deciding.check import Minimum, Refusal, check
from trainer.deciding.diaries import Diaries
from trainer.deciding.ending import ending, left_behind
from trainer.deciding.requests import problems
from trainer.deciding.voice import Voice
from trainer.domain import Champions
from trainer.orders import QUEUE, CancelMark, TrainingOrder
from trainer.recipe import TrainingRecipe


@dataclass
class Following:
    """Looks at the open jobs; every method raises Unavailable, and says nothing twice when it is called again."""

    voice: Voice
    book: JobBook
    desk: Desk
    blobs: Blobs
    champions: Champions
    minimum: Minimum
    diaries: Diaries
    _fit: set[str] = field(default_factory=set)  # jobs that a worker can do something with
    _marks: dict[str, CancelMark | None] = field(default_factory=dict)  # of the jobs that were looked at

    async def follow(self, state: JobState) -> None:
        """Say what became of a job since we last looked."""
        refused = await self._refusal(state)
        if refused is not None:
            failed = TrainingFailed(job=state.job, attempt=0, rule=refused.rule, reason=refused.reason)
            return await self.voice.say(failed, state.project, state.job, state.envelope)
        mark = await self._mark(state)
        standing = await self.desk.standing(state.project, state.job)
        if standing is not None:
            await self.diaries.tell(state, standing)
        if standing is None or standing.state != "held":
            await self._settle(state, standing, mark)
        if state.ended is not None:
            self._forget(state.job)
        return None

    async def cancel(self, state: JobState, reason: str) -> None:
        """End an open job: at once when no worker holds it, else by a mark that its worker looks for."""
        mark = CancelMark(reason=reason)
        await self.blobs.create(keys.job_cancel(state.project, state.job), mark.model_dump_json().encode())
        self._marks[state.job] = mark
        await self.follow(state)  # after the mark was written: who claims the job from now on finds it

    async def _settle(self, state: JobState, standing: Standing | None, mark: CancelMark | None) -> None:
        """End a job that no worker holds, or offer it."""
        if mark is not None and (standing is None or standing.state != "finished"):
            end = await left_behind(self.desk, self.blobs, state, mark)
            return await self.voice.say(end, state.project, state.job, state.envelope)
        ended = ending(state.requested, standing) if standing else None
        if ended is None:
            return await self.desk.offer(QUEUE, self._job(state), standing)
        await self.voice.say(ended, state.project, state.job, state.envelope)
        if standing is not None and standing.state != "finished":  # whoever still finds it on the queue is to leave it
            given_up = CancelMark(reason="it was given up").model_dump_json().encode()
            await self.blobs.create(keys.job_cancel(state.project, state.job), given_up)
        return None

    def _forget(self, job: str) -> None:
        self.diaries.close(job)
        self._fit.discard(job)
        self._marks.pop(job, None)

    def _job(self, state: JobState) -> Job:
        requested = state.requested
        order = TrainingOrder(
            dataset=requested.dataset,
            recipe=TrainingRecipe.model_validate(requested.recipe),
            initial=requested.initial,
            champion=self.champions.champion(state.project, self.book),
            warnings=requested.warnings,
        )
        return Job(
            project=state.project,
            id=state.job,
            payload=order.model_dump(mode="json"),
            flow=state.envelope.flow,
            traceparent=state.envelope.traceparent,
        )

    async def _refusal(self, state: JobState) -> Refusal | None:
        """Say why the job would be worthless; asked once by each decider, before a worker starts."""
        if state.job in self._fit:
            return None
        try:
            TrainingRecipe.model_validate(state.requested.recipe)
        except ValidationError as error:
            return Refusal("recipe.unreadable", problems(error))
        if state.attempt == 0:
            try:
                description = await load_description(self.blobs, state.requested.dataset.description)
            except Rejected as error:
                return Refusal(error.rule, error.reason)
            refused = check(description, self.minimum)
            if refused is not None:
                return refused
        self._fit.add(state.job)
        return None

    async def _mark(self, state: JobState) -> CancelMark | None:
        """Return the wish that the job ends; only this decider writes one, so it is looked for once."""
        if state.job not in self._marks:
            try:
                found = await self.blobs.get(keys.job_cancel(state.project, state.job))
                self._marks[state.job] = CancelMark.read(found.data)
            except BlobNotFound:
                self._marks[state.job] = None
        return self._marks[state.job]
