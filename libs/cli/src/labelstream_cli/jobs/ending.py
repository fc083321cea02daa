"""labelstream jobs cancel: the end of a training that waits or runs."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated

import typer

from labelstream.events.training import TrainingCancelled
from labelstream.training_requests import TrainingRequest
from labelstream.trainings import JobBook, JobState
from labelstream_cli.jobs.asking import answer_to, ask
from labelstream_cli.jobs.book import chosen, live_at, read_book
from labelstream_cli.jobs.facts import as_entry, epochs_planned, left_s, reached
from labelstream_cli.jobs.list_view import left_in_words
from labelstream_cli.jobs.options import JobId, Reason, Timeout, Url
from labelstream_cli.jobs.place import Place, Where, at_place
from labelstream_cli.jobs.show_view import kept_in_words
from labelstream_cli.jobs.waiting import ending, wait_for_end
from labelstream_cli.jobs.words import SHORT
from labelstream_cli.running import ERRORS, CommandFailed, Directory, Json, failed
from labelstream_local.layout import DEFAULT

CANCEL_S = 120.0  # a worker ends its epoch's step and uploads what it has
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]


def cancel_job(
    *,
    job: JobId,
    reason: Reason = "",
    yes: Yes = False,
    timeout: Timeout = CANCEL_S,
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """End a training that waits or runs. The best weights so far are kept.

    Waits until it has ended, and says what was kept. Exit code 1 when it had ended before.

    Examples:
    - `labelstream jobs cancel 3fa9`
    - `labelstream jobs cancel 3fa9 --reason "wrong recipe" --yes`
    """
    if as_json and not yes:
        raise typer.BadParameter("--json asks nothing: add --yes")
    where = Where(directory, url, quiet=True)
    if not yes:
        typer.echo(at_place(where, lambda place: _described(place, job)))
        typer.confirm("Cancel it?", abort=True)
    state = at_place(where, lambda place: cancel(place, job, reason, timeout))
    if as_json:
        result = state.ended.model_dump(mode="json") if state.ended else None
        typer.echo(json.dumps({**as_entry(state), "result": result}))
    if not isinstance(state.ended, TrainingCancelled):
        raise failed(f"{ending(state)}: it was quicker than the request")
    if not as_json:
        typer.echo(f"{ending(state)}\nkept: {kept_in_words(state.ended)}")


async def _described(place: Place, told: str) -> str:
    state = _open_job(await read_book(place), told)
    best, left = reached(state), left_s(state)
    how = f", epoch {state.epochs_told} of {epochs_planned(state)}, mAP50 {best.map50:.3f}" if best else ""
    rest = f", {left_in_words(state, left)}" if left is not None else ""
    return f"Training {state.job[:SHORT]} of {state.project} is {state.state}{how}{rest}."


async def cancel(place: Place, told: str, reason: str, within_s: float) -> JobState:
    """Ask for the end of a job, and return it once it has ended, however that was.

    Raises CommandFailed when it had ended before, or has not within `within_s` seconds.
    """
    async with live_at(place) as live:
        state = _open_job(live.book, told)
        asking = await ask(place.queue, state.project, TrainingRequest(cancel=state.job, reason=reason))
        missing = "the trainer did not answer"
        try:
            with ERRORS.status("Waiting for the training to end."):
                async with asyncio.timeout(within_s):
                    await answer_to(place, state.project, asking, None)
                    missing = f"the trainer agreed, but {state.worker or 'the job'} did not end"
                    return await wait_for_end(live, state.job, lambda *_: None)
        except TimeoutError as error:
            raise CommandFailed(
                f"{missing} within {within_s:g} s: `labelstream status` shows what is up. The request is stored, and "
                f"needs not be made again; `labelstream jobs show {state.job[:SHORT]}` tells when the job has ended."
            ) from error


def _open_job(book: JobBook, told: str) -> JobState:
    state = chosen(book, told)
    if state.ended is not None:
        raise CommandFailed(f"there is nothing to cancel: {ending(state)}")
    return state
