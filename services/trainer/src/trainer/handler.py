"""Decides trainings and says how they go: the one writer of `training-events`."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import structlog
from pydantic import TypeAdapter

from labelstream.blobs.ports import Blobs
from labelstream.errors import Rejected, Unavailable
from labelstream.events.envelope import Envelope
from labelstream.events.training import (
    DatasetRef,
    TrainingEvent,
    TrainingFailed,
    TrainingFinished,
    TrainingProgressed,
    TrainingRequested,
    TrainingStarted,
)
from labelstream.jobs.desk import Desk, Standing
from labelstream.jobs.ports import Job, JobQueue, Taken
from labelstream.schemas.recorded import recorded_schema
from labelstream.service.health import Health
from labelstream.streams.journal import Journal
from labelstream.values import FileRef
from labelstream.view import AnnotationView
from labelstream_datasets.building.build import DatasetPlan, build, store
from labelstream_datasets.building.index import BatchIndex
from labelstream_datasets.loading import load_description, load_reference
from trainer.check import Minimum, Refusal, check, warnings
from trainer.domain import JobBook, JobState, job_id
from trainer.engine.contract import Progress
from trainer.orders import PROGRESS, QUEUE, TrainingLeft, TrainingOrder
from trainer.policy import Cut, due
from trainer.recipe import TrainingRecipe
from trainer.requests import read_request
from trainer.settings import TrainerGroup

NAME = "trainer"
REQUESTS = "requests.trainer"
EPOCHS = TypeAdapter(list[Progress])

log = structlog.get_logger()


@dataclass
class Decider:
    """Requests a training when one is due, offers it to workers, and publishes what they found."""

    journal: Journal
    book: JobBook
    view: AnnotationView
    index: BatchIndex
    queue: JobQueue
    desk: Desk
    blobs: Blobs
    recipe: TrainingRecipe
    projects: tuple[str, ...]
    settings: TrainerGroup
    health: Health
    asked: dict[str, Cut] = field(default_factory=dict)  # by the request's job id
    upcoming: dict[str, Any] = field(default_factory=dict)  # project → what its next training waits for
    fit: set[str] = field(default_factory=set)  # jobs whose dataset is enough to train on

    async def tick(self) -> None:
        """Do whatever is due; raises Unavailable, and does the rest when it is called again."""
        await self._take_requests()
        for project in self.projects:
            await self._decide(project)
        for state in self.book.open_jobs():
            await self._follow(state)

    # ---- deciding

    async def _take_requests(self) -> None:
        while (taken := await self.queue.take(REQUESTS, wait_s=0)) is not None:
            try:
                cut = self._read(taken)
            except ValueError as error:
                log.error("request.rejected", job=taken.job.id, project=taken.job.project, reason=str(error))
                await taken.done()
            else:
                await self._remember(cut, taken)

    def _read(self, taken: Taken) -> Cut:
        if taken.job.project not in self.projects:
            raise ValueError(f"this trainer trains {', '.join(self.projects)}")
        return read_request(taken)

    async def _remember(self, cut: Cut, taken: Taken) -> None:
        """Keep a request until its cut can be read; the same again, or delivered again, takes the older one's place."""
        older = self.asked.get(taken.job.id)
        self.asked[taken.job.id] = cut
        if older is not None and older.request is not None:
            with suppress(Unavailable):  # the connection that brought it is gone, and its delivery with it
                await older.request.done()

    async def _decide(self, project: str) -> None:
        readable = self._readable(project)
        for request, cut in list(self.asked.items()):
            if cut.project == project and cut.offset <= readable:
                await self._request(cut)
                del self.asked[request]
                if cut.request is not None:
                    await cut.request.done()
        needed = self.settings.min_new
        last = self.book.last_cuts.get(project, -1)
        validated = self.view.validations(project, after=last) if needed else []
        self.upcoming[project] = {
            "validated_since_last": len(validated) if needed else None,  # nobody counts when only requests train
            "needed": needed or None,
            "asked_for": [cut.offset for cut in self.asked.values() if cut.project == project and not cut.dataset],
        }
        self.health.fact("next_training", self.upcoming)
        offset = due(validated, needed, readable)
        if offset is not None:
            await self._request(Cut(project, offset, "policy"))

    def _readable(self, project: str) -> int:
        """Return the offset up to which annotations were read and augmented."""
        recipe = self.index.recipe(project)
        covered = self.index.coverage(project, recipe) if recipe else -1
        return min(covered, -1 if self.view.position is None else self.view.position)

    async def _request(self, cut: Cut) -> None:
        """Say that a training on the dataset of a cut is due; the same dataset is the same job.

        Only who asks for a training that failed gets another one.
        """
        dataset = await self._built(cut) if cut.dataset is None else await self._stored(cut, cut.dataset)
        if dataset is None:
            return
        self.health.fact("dataset", {"id": dataset.id, "project": cut.project, "samples": dataset.samples})
        job = job_id(cut.project, dataset.id, self.recipe.digest)
        if cut.cause == "request":
            job = self.book.not_failed(job)
        if job in self.book.jobs:
            log.info("training.known", job=job, dataset=dataset.id)
            self.book.last_cuts[cut.project] = max(cut.offset, self.book.last_cuts.get(cut.project, -1))
            return
        requested = TrainingRequested(
            job=job,
            cause=cut.cause,
            dataset=dataset,
            recipe=self.recipe.model_dump(mode="json"),
            recipe_digest=self.recipe.digest,
        )
        await self._say(requested, cut.project, job)

    async def _built(self, cut: Cut) -> DatasetRef:
        recipe = self.index.recipe(cut.project, cut.offset)
        if recipe is None:
            raise RuntimeError(f"no recipe covers {cut.project} up to {cut.offset}, although it was readable")
        plan = DatasetPlan(
            project=cut.project,
            cut=cut.offset,
            recipe=recipe,
            class_schema=await recorded_schema(self.blobs, cut.project),
            options=self.settings.dataset,
        )
        return await store(self.blobs, await build(self.view, self.index, plan, self.blobs))

    async def _stored(self, cut: Cut, description: FileRef) -> DatasetRef | None:
        """Return a dataset that somebody built; None, and say so, when it is gone or changed."""
        try:
            return await load_reference(self.blobs, description)
        except Rejected as error:
            reason = f"{error.rule}: {error.reason}"
            log.error("request.rejected", project=cut.project, dataset=description.key, reason=reason)
            return None

    # ---- following

    async def _follow(self, state: JobState) -> None:
        """Publish what became of a job since we last looked."""
        requested = state.requested
        refused = await self._refusal(state)
        if refused is not None:
            failed = TrainingFailed(job=requested.job, attempt=0, rule=refused.rule, reason=refused.reason)
            return await self._say(failed, state.project, requested.job, state.envelope)
        standing = await self.desk.standing(state.project, requested.job)
        if standing is not None:
            await self._tell_progress(state, standing)
            ending = _ending(requested, standing)
            if ending is not None:
                return await self._say(ending, state.project, requested.job, state.envelope)
        await self.desk.offer(QUEUE, _job(state), standing)
        return None

    async def _refusal(self, state: JobState) -> Refusal | None:
        """Say why a training on the job's dataset would be worthless; asked once, before a worker starts."""
        if state.attempt > 0 or state.requested.job in self.fit:
            return None
        try:
            description = await load_description(self.blobs, state.requested.dataset.description)
        except Rejected as error:
            return Refusal(error.rule, error.reason)
        refused = check(description, Minimum(test_images=self.settings.min_test_images))
        if refused is None:
            self.fit.add(state.requested.job)
            for warning in warnings(description):
                log.warning("dataset.warning", dataset=description.id, warning=warning)
        return refused

    async def _tell_progress(self, state: JobState, standing: Standing) -> None:
        job, attempt = state.requested.job, standing.attempt
        if attempt > state.attempt:
            started = TrainingStarted(job=job, attempt=attempt, worker=standing.worker)
            await self._say(started, state.project, f"{job}/{attempt}", state.envelope)
        left = await self.desk.left(state.project, job, attempt, PROGRESS)
        for progress in EPOCHS.validate_json(left) if left else []:
            if progress.epoch <= state.epochs_said:
                continue
            fields = progress.model_dump(include=set(TrainingProgressed.model_fields))
            event = TrainingProgressed(job=job, attempt=attempt, **fields)
            await self._say(event, state.project, f"{job}/{attempt}/{progress.epoch}", state.envelope)

    async def _say(self, event: TrainingEvent, project: str, answers: str, cause: Envelope | None = None) -> None:
        envelope = Envelope.of(
            event,
            source=NAME,
            answers=answers,
            project=project,
            flow=cause.flow if cause else "",
            traceparent=cause.traceparent if cause else "",
        )
        await self.journal.append(NAME, [(self.journal.sequences[NAME] + 1, envelope)])
        what = f"training of {project}"
        if isinstance(event, TrainingFailed):
            log.warning(event.type, project=project, job=event.job, rule=event.rule, reason=event.reason)
            self.health.degraded(what, f"{event.rule}: {event.reason}")
        else:
            log.info(event.type, project=project, job=event.job)
            self.health.degraded(what, None)


def _job(state: JobState) -> Job:
    requested = state.requested
    order = TrainingOrder(dataset=requested.dataset, recipe=TrainingRecipe.model_validate(requested.recipe))
    return Job(
        project=state.project,
        id=requested.job,
        payload=order.model_dump(mode="json"),
        flow=state.envelope.flow,
        traceparent=state.envelope.traceparent,
    )


def _ending(requested: TrainingRequested, standing: Standing) -> TrainingFinished | TrainingFailed | None:
    job, attempt = requested.job, standing.attempt
    if standing.failure is not None:
        return TrainingFailed(job=job, attempt=attempt, rule=standing.failure.rule, reason=standing.failure.reason)
    if standing.result is None:
        return None
    left = TrainingLeft.model_validate_json(standing.result)
    return TrainingFinished(
        job=job,
        attempt=attempt,
        dataset=requested.dataset,
        weights=left.weights,
        architecture=left.architecture,
        best_epoch=left.best_epoch,
        validation=left.validation,
        test=left.test,
    )
