"""Everything that is known of one model: what the streams tell, and what lies in the store."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from labelstream.blobs.checked import read_checked
from labelstream.blobs.ports import Blobs
from labelstream.bundle import Artifact, Manifest
from labelstream.errors import Rejected
from labelstream.events.model import ModelRefused
from labelstream.events.training import TrainingFinished
from labelstream.exports import WaitingFormat, announcements, waiting_formats
from labelstream.models import ModelState
from labelstream.trainings import JobState
from labelstream_cli.models.book import Books
from labelstream_cli.models.evaluation import Tested, read_evaluation
from labelstream_cli.models.facts import waiting_of
from labelstream_cli.models.place import ModelsPlace
from labelstream_datasets.description import DatasetDescription
from labelstream_datasets.loading import load_description


@dataclass(frozen=True)
class Side:
    """A model; what could not be read is None, and `missing` says why."""

    state: ModelState
    job: JobState | None
    trained: TrainingFinished | None
    manifest: Manifest | None
    dataset: DatasetDescription | None
    tested: Tested | None
    waiting: tuple[WaitingFormat, ...]
    refused: tuple[ModelRefused, ...]  # formats
    missing: tuple[str, ...] = ()

    def artifact(self, name: str) -> Artifact | None:
        """Return what the manifest says of a format."""
        every = self.manifest.artifacts if self.manifest else ()
        return next((each for each in every if each.name == name), None)


async def side_of(place: ModelsPlace, books: Books, state: ModelState) -> Side:
    """Read what there is of a model. Raises Unavailable."""
    data, exported = place.place.blobs, state.exported
    job, trained = books.jobs.jobs.get(exported.job), books.trained(state)
    manifest = await _manifest(place.models, state)
    dataset = await _dataset(data, trained)
    tested = await read_evaluation(data, trained)
    found = {"manifest": manifest, "dataset": dataset, "evaluation": tested}
    refusals = books.models.refusals.get(exported.job, [])
    return Side(
        state,
        job,
        trained,
        None if isinstance(manifest, str) else manifest,
        None if isinstance(dataset, str) else dataset,
        None if isinstance(tested, str) else tested,
        await waiting_for(place, books, state),
        tuple(each.event for each in refusals if each.event.format is not None),
        tuple(f"the {what} can't be shown: {why}" for what, why in found.items() if isinstance(why, str)),
    )


async def waiting_for(place: ModelsPlace, books: Books, state: ModelState) -> tuple[WaitingFormat, ...]:
    """Return the formats that may come with a later edition of a model. Raises Unavailable."""
    if not waiting_of(books.models, state):
        return ()
    job = books.jobs.jobs.get(state.exported.job)
    since = job.ended_ms if job is not None and job.ended_ms is not None else state.envelope.time_ms
    announced = await announcements(place.place.blobs)
    return waiting_formats(books.models, state.exported.job, since, (), announced)


async def _manifest(models: Blobs, state: ModelState) -> Manifest | str:
    try:
        return Manifest.model_validate_json(await read_checked(models, state.exported.manifest))
    except Rejected as error:
        return error.reason
    except ValidationError:
        return f"{state.exported.manifest.key} is no manifest that this version knows"


async def _dataset(data: Blobs, trained: TrainingFinished | None) -> DatasetDescription | str:
    if trained is None:
        return "its training is not in training-events"
    try:
        return await load_description(data, trained.dataset.description)
    except Rejected as error:
        return error.reason
    except ValidationError:
        return f"{trained.dataset.description.key} is no dataset"
