"""Saying that a training is due: this dataset, this recipe, these weights to begin with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import structlog
from pydantic import ValidationError

from labelstream.blobs.ports import Blobs
from labelstream.errors import Rejected
from labelstream.events.training import DatasetRef, TrainingRequested, WeightsRef
from labelstream.service.health import Health
from labelstream.trainings import JobBook, JobState, job_id, retry_id
from labelstream.values import FileRef
from labelstream.weights import read_weights
from trainer.deciding.annotated import WhenAnnotated, not_known
from trainer.deciding.datasets import Datasets
from trainer.deciding.requests import problems
from trainer.deciding.traces import Traces
from trainer.deciding.voice import Voice
from trainer.recipe import TrainingRecipe

Cause = Literal["policy", "schedule", "request"]

log = structlog.get_logger()


@dataclass(frozen=True)
class Requested:
    """The job that does, or did, what was asked for; `is_new` when it was not there before."""

    job: str
    is_new: bool


@dataclass(frozen=True)
class Requesting:
    """Requests trainings; the same dataset, recipe and weights are the same job, which is requested once.

    Every method raises Unavailable when store or broker is away; called again, it says nothing twice.
    """

    book: JobBook
    voice: Voice
    datasets: Datasets
    blobs: Blobs
    health: Health
    annotated_ms: WhenAnnotated = not_known
    traces: Traces = field(default_factory=Traces)

    async def train(self, project: str, cause: Cause, at: int | FileRef, recipe: TrainingRecipe) -> Requested:
        """Request a training on the dataset of a cut, or on a stored one. Raises Rejected.

        Only who asks by hand for a training that failed or was cancelled gets another one, under a derived id.
        """
        initial = await self._initial(project, recipe)  # first: it costs less to find missing than a dataset to build
        dataset = await self.datasets.of(project, at)
        ref = dataset.reference
        self.health.fact("dataset", dataset_fact(ref, project))
        job = job_id(project, ref.id, recipe.digest, initial.id if initial else None)
        last = self.book.latest(job)
        if last is not None and not (cause == "request" and last.came_to_nothing):
            return self._known(last, ref)
        wanted = TrainingRequested(
            job=job,
            cause=cause,
            dataset=ref,
            recipe=recipe.model_dump(mode="json"),
            recipe_digest=recipe.digest,
            initial=initial,
            annotated_ms=await self.annotated_ms(project, ref.cut.offset),
            warnings=dataset.warnings,
        )
        return await self._request(project, wanted, last)

    async def retry(self, state: JobState) -> Requested:
        """Request once more what a job, or the last of its retries, did not bring to an end. Raises Rejected."""
        last = self.book.latest(state.job) or state
        if not last.came_to_nothing:
            return self._known(last, last.requested.dataset)
        try:
            recipe = TrainingRecipe.model_validate(last.requested.recipe)
        except ValidationError as error:
            hint = "Ask for a training with another recipe."
            raise Rejected("recipe.unreadable", f"the job's recipe: {problems(error)}", hint) from error
        again = {"cause": "request", "recipe": recipe.model_dump(mode="json"), "recipe_digest": recipe.digest}
        return await self._request(state.project, last.requested.model_copy(update=again), last)

    async def _request(self, project: str, wanted: TrainingRequested, last: JobState | None) -> Requested:
        if last is not None:
            wanted = wanted.model_copy(update={"job": retry_id(last.job), "retry_of": last.job})
        for warning in wanted.warnings:
            log.warning("dataset.warning", dataset=wanted.dataset.id, warning=warning)
        batches = self.traces.up_to(project, wanted.dataset.cut.offset)
        await self.voice.say(wanted, project, wanted.job, traces=batches)
        return Requested(wanted.job, is_new=True)

    def _known(self, state: JobState, dataset: DatasetRef) -> Requested:
        log.info("training.known", job=state.job, dataset=dataset.id)
        self.book.passed(state.project, dataset.cut.offset)
        return Requested(state.job, is_new=False)

    async def _initial(self, project: str, recipe: TrainingRecipe) -> WeightsRef | None:
        """Return the imported weights that a recipe names. Raises Rejected when there are none of that name."""
        if recipe.weights is None:
            return None
        try:
            found = await read_weights(self.blobs, project, recipe.weights)
        except ValidationError as error:
            reason = f"what {project} has by the name {recipe.weights!r} does not describe weights"
            raise Rejected("weights.unreadable", reason, "Import them again.") from error
        if found is None:
            reason = f"the recipe begins with the weights {recipe.weights!r}, and {project} has none of that name"
            hint = "`labelstream weights import` brings them, or leave `weights` out of the recipe."
            raise Rejected("weights.unknown", reason, hint)
        return WeightsRef(id=found.id, weights=found.weights, architecture=found.architecture)


def dataset_fact(dataset: DatasetRef, project: str) -> dict[str, Any]:
    """Say which dataset a training is on, for operators."""
    return {"id": dataset.id, "project": project, "samples": dataset.samples}
