"""The models as `model-events` tells them: all of them, and the one that a person means."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from labelstream.events.base import MODEL_EVENTS
from labelstream.events.training import TrainingFinished
from labelstream.models import ModelBook, ModelState
from labelstream.trainings import JobBook
from labelstream_cli.jobs.book import read_book
from labelstream_cli.jobs.place import Place
from labelstream_cli.jobs.words import SHORT
from labelstream_cli.models.replicas import Replicas, read_replicas
from labelstream_cli.reaching import event_in, stored
from labelstream_cli.running import CommandFailed
from labelstream_cli.tracing.closest import like

SERVING = "serving"
_DIGITS = re.compile(r"[0-9a-f]{4,32}")
_MOST_CANDIDATES = 8


@dataclass(frozen=True)
class Books:
    """The models, the trainings that they come from, and the replicas that refused them."""

    models: ModelBook
    jobs: JobBook
    replicas: Replicas = field(default_factory=Replicas)

    def trained(self, state: ModelState) -> TrainingFinished | None:
        """Return the training that made a model's weights."""
        job = self.jobs.jobs.get(state.exported.job)
        return job.ended if job is not None and isinstance(job.ended, TrainingFinished) else None


async def read_models(place: Place) -> ModelBook:
    """Read all that `model-events` holds now. Raises Unavailable, or CommandFailed when the broker stays silent."""
    book = ModelBook()
    async for deliveries in stored(place.broker, MODEL_EVENTS, tell=place.tell):
        for delivery in deliveries:
            envelope = event_in(delivery)
            if envelope is not None:
                book.fold(delivery.offset, envelope)
    return book


async def read_books(place: Place) -> Books:
    """Read the models, the trainings, and what replicas say. Raises Unavailable, CommandFailed."""
    return Books(await read_models(place), await read_book(place), await read_replicas(place))


def chosen(book: ModelBook, told: str, project: str | None = None) -> ModelState:
    """Return the model that serves, for `serving`, or the one whose id begins with `told`.

    Raises CommandFailed when that is none, or several.
    """
    every = [state for state in book.models.values() if project in (None, state.project)]
    if told.strip().lower() == SERVING:
        return _serving(book, project)
    if not every:
        raise CommandFailed(f"there is no model{_in(project)} yet: `labelstream models list` tells what was refused")
    digits = told.strip().lower().rstrip("….")
    if not _DIGITS.fullmatch(digits):
        raise CommandFailed(
            f"{told!r} does not name a model: say {SERVING!r}, or give at least 4 hexadecimal digits of its id, as "
            "`labelstream models list` shows them"
        )
    found = [state for state in every if state.model.startswith(digits)]
    if not found:
        raise CommandFailed(_unknown(every, digits, project))
    if len(found) > 1:
        raise CommandFailed(f"{digits} may be any of {len(found)} models: {_candidates(found)}. Give more digits.")
    return found[0]


def _serving(book: ModelBook, project: str | None) -> ModelState:
    projects = [project] if project is not None else list(book.promotions)
    if len(projects) > 1:
        raise CommandFailed(f"models serve in {', '.join(projects)}: say which is meant with --project")
    champion = book.champion(projects[0]) if projects else None
    if champion is None:
        raise CommandFailed(f"no model serves{_in(project)} yet: `labelstream models list` shows what there is")
    return champion


def _in(project: str | None) -> str:
    return f" in {project}" if project else ""


def _unknown(every: list[ModelState], digits: str, project: str | None) -> str:
    ids = {state.model[: len(digits)]: state for state in every}
    near = [ids[one] for one in like(digits, ids)]
    said = f"like it: {_candidates(near)}. " if near else ""
    return f"there is no model {digits}{_in(project)}; {said}`labelstream models list` shows all {len(every)}"


def _candidates(states: Iterable[ModelState]) -> str:
    every = list(states)
    more = f" and {len(every) - _MOST_CANDIDATES} more" if len(every) > _MOST_CANDIDATES else ""
    return ", ".join(f"{one.model[:SHORT]} ({one.project})" for one in every[:_MOST_CANDIDATES]) + more
