"""Asking for a training, anew or again, and waiting for its end if that is wanted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import typer

from labelstream.training_requests import Answer, TrainingRequest
from labelstream.trainings import JobState
from labelstream_cli.jobs.asking import answer_to, ask
from labelstream_cli.jobs.book import live_at, read_book
from labelstream_cli.jobs.facts import as_entry
from labelstream_cli.jobs.place import Place
from labelstream_cli.jobs.waiting import ending, going_on, leaving_it, shown, wait_for_end
from labelstream_cli.jobs.words import SHORT
from labelstream_cli.running import failed

ANSWER_S = 10.0  # who does not wait for the end does not wait long for an answer either


@dataclass(frozen=True)
class Started:
    """A training that was asked for."""

    project: str
    asking: str  # the id of this asking
    waited: bool  # until it had ended
    answer: Answer | None  # None: the trainer has not answered yet
    state: JobState | None  # of the job, when the answer names one

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        answer, state = self.answer, self.state
        return {
            "project": self.project,
            "request": self.asking,
            "outcome": answer.outcome if answer else None,
            "reason": answer.reason if answer else "",
            "job": answer.job if answer else None,
            "training": as_entry(state) if state else None,
            "result": state.ended.model_dump(mode="json") if state and state.ended else None,
        }


async def start(place: Place, project: str, request: TrainingRequest, *, wait: bool, quiet: bool) -> Started:
    """Ask; return what the trainer answered, or, with `wait`, how the training ended.

    Raises CommandFailed with the reason when the trainer refuses, Unavailable.
    """
    job = ""

    def left() -> str:
        digits = job[:SHORT]
        return f"The training goes on: `labelstream jobs show {digits}`." if job else "The request stays."

    with shown(quiet=quiet, lines=wait) as show:
        async with leaving_it(left):
            asking = await ask(place.queue, project, request)
            show("waits for the trainer's answer", None)
            within_s = None if wait else ANSWER_S
            answer = await answer_to(place, project, asking, within_s, lambda one: show(one.reason, None))
            job = (answer.job if answer else None) or ""
            if wait and job:
                async with live_at(place) as live:
                    return Started(project, asking, wait, answer, await wait_for_end(live, job, show))
    state = (await read_book(place)).jobs.get(job) if job else None
    return Started(project, asking, wait, answer, state)


def tell(started: Started, what: str, *, as_json: bool, extra: dict[str, Any] | None = None) -> None:
    """Print what came of asking for `what`; a training that came to nothing already ends the command with 1."""
    if as_json:
        typer.echo(json.dumps({**started.as_json(), **(extra or {})}))
    state = started.state
    if state is not None and state.came_to_nothing:
        raise failed(f"{ending(state)}\n`labelstream jobs show {state.job[:SHORT]}` shows all of it.")
    if not as_json:
        typer.echo("\n".join(_lines(started, what)))


def _lines(started: Started, what: str) -> list[str]:
    answer, state = started.answer, started.state
    if answer is None:
        return [f"Asked for {what}. The trainer has not answered yet: `labelstream status` shows whether it is up."]
    if answer.outcome == "waiting" or not answer.job:
        return [f"Asked for {what}. It waits: {answer.reason or 'the trainer does not say for what'}."]
    digits = answer.job[:SHORT]
    if state is not None and state.ended is not None:
        before = "This was asked for before: " if answer.outcome == "known" else ""
        return [f"{before}{ending(state)}", f"`labelstream jobs show {digits}` shows all of it."]
    known = "is under way already" if answer.outcome == "known" else "is requested"
    return [
        f"Training {digits} of {started.project} {known}: {going_on(state)}.",
        f"`labelstream jobs show {digits}` shows how it goes, `labelstream jobs logs -f {digits}` its worker's log.",
    ]
