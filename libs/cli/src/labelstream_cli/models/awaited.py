"""Trainings that have ended well and have no model yet: they are being exported, or wait for a worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from labelstream.events.training import TrainingFinished
from labelstream.exports import WaitingFormat, announcements, read_note, waiting_formats
from labelstream_cli.jobs.place import Place
from labelstream_cli.models.book import Books
from labelstream_cli.models.facts import as_time


@dataclass(frozen=True)
class Awaited:
    """A finished training whose model is still to come."""

    project: str
    job: str
    time_ms: int  # when it had finished
    waiting: tuple[WaitingFormat, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        waiting = [each.model_dump(mode="json") for each in self.waiting]
        return {"job": self.job, "project": self.project, "finished": as_time(self.time_ms), "waiting": waiting}


async def awaited(place: Place, books: Books) -> list[Awaited]:
    """Return the trainings without an answer, oldest first. Raises Unavailable."""
    models = books.models
    unanswered = [
        (state, state.ended_ms)
        for job, state in books.jobs.jobs.items()
        if isinstance(state.ended, TrainingFinished) and not models.editions(job) and not models.has_no_model(job)
    ]
    if not unanswered:
        return []
    note, announced = await read_note(place.blobs), await announcements(place.blobs)
    formats = note.formats if note else ()
    return [
        Awaited(state.project, state.job, ms, waiting_formats(models, state.job, ms, formats, announced))
        for state, ms in unanswered
        if ms is not None
    ]
