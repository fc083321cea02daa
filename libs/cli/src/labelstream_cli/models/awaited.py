"""What waits: trainings that ended well and have no model yet, and models whose later formats are still to come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from labelstream.events.training import TrainingFinished
from labelstream.exports import WaitingFormat, announcements, read_note, waiting_formats
from labelstream.models import ModelState
from labelstream_cli.jobs.place import Place
from labelstream_cli.models.book import Books
from labelstream_cli.models.facts import as_time, waiting_of


@dataclass(frozen=True)
class Awaited:
    """A finished training whose model, or some of whose formats, are still to come."""

    project: str
    job: str
    time_ms: int  # when it had finished
    waiting: tuple[WaitingFormat, ...]
    model: str | None = None  # that is there, and gets further formats

    @property
    def why(self) -> str:
        """Say why the formats are not there yet."""
        return "; ".join(dict.fromkeys(each.why for each in self.waiting)) or "is about to be exported"

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        waiting = [each.model_dump(mode="json") for each in self.waiting]
        finished = as_time(self.time_ms)
        return {"job": self.job, "project": self.project, "model": self.model, "finished": finished, "waiting": waiting}


async def awaited(place: Place, books: Books) -> list[Awaited]:
    """Return the trainings without an answer, then the models that get further formats. Raises Unavailable."""
    bare = [*_unanswered(books), *_incomplete(books)]
    if not bare:
        return []
    note, announced = await read_note(place.blobs), await announcements(place.blobs)
    formats = note.formats if note else ()
    return [
        replace(each, waiting=waiting_formats(books.models, each.job, each.time_ms, formats, announced))
        for each in bare
    ]  # fmt: skip


def _unanswered(books: Books) -> Iterator[Awaited]:
    models = books.models
    for job, state in books.jobs.jobs.items():
        if not isinstance(state.ended, TrainingFinished) or state.ended_ms is None:
            continue
        if not models.editions(job) and not models.has_no_model(job):
            yield Awaited(state.project, job, state.ended_ms, ())


def _incomplete(books: Books) -> Iterator[Awaited]:
    for state in books.models.models.values():
        if waiting_of(books.models, state):
            yield Awaited(state.project, state.exported.job, _since(books, state), (), state.model)


def _since(books: Books, state: ModelState) -> int:
    """Return since when a model waits for further formats: its training's end, or its own beginning."""
    job = books.jobs.jobs.get(state.exported.job)
    return job.ended_ms if job is not None and job.ended_ms is not None else state.envelope.time_ms
