"""labelstream jobs list and show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from labelstream import keys
from labelstream.blobs.leases import Leases
from labelstream.blobs.rewriting import read_rewritten
from labelstream.events.training import TrainingFinished
from labelstream.jobs.worker import LEASE
from labelstream.trainings import STATES, JobState
from labelstream.values import FileRef
from labelstream_cli.jobs.book import chosen, read_book
from labelstream_cli.jobs.facts import as_entry
from labelstream_cli.jobs.list_view import show_jobs
from labelstream_cli.jobs.models import model_of
from labelstream_cli.jobs.options import Newest, Url
from labelstream_cli.jobs.place import NAME, Place, Where, at_place
from labelstream_cli.jobs.show_view import Shown, everything_as_json, show_job
from labelstream_cli.running import ERRORS, CommandFailed, Directory, Json
from labelstream_local.layout import DEFAULT

States = Annotated[
    list[str] | None,
    typer.Option("--state", metavar="STATE", help=f"Only these, of {', '.join(STATES)}; again for more."),
]
OfProject = Annotated[str | None, typer.Option(help="Only this project's; default: all.")]
Limit = Annotated[int, typer.Option(min=0, help="At most so many; 0: all.")]
Report = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Save the report of a finished training: one HTML page.")
]
Card = Annotated[Path | None, typer.Option(metavar="FILE", help="Save its model card, Markdown.")]


def list_jobs(
    *,
    states: States = None,
    project: OfProject = None,
    limit: Limit = 20,
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List the trainings, the newest first: how far each is, how good, and who works on it.

    mAP50 is that on test where the training has finished, else the best epoch's on validation.

    Examples:
    - `labelstream jobs list`
    - `labelstream jobs list --state requested --state started`
    - `labelstream jobs list --project harbour --limit 0 --json | jq -r '.jobs[].job'`
    """
    unknown = next((one for one in states or () if one not in STATES), None)
    if unknown is not None:
        raise typer.BadParameter(f"--state {unknown}: there are only {', '.join(STATES)}")
    book = at_place(Where(directory, url, project, quiet=as_json), read_book)
    every = [state for state in reversed(book.jobs.values()) if project in (None, state.project)]
    found = [state for state in every if not states or state.state in states]
    shown = found[:limit] if limit else found
    if as_json:
        typer.echo(json.dumps({"jobs": [as_entry(state) for state in shown], "more": len(found) - len(shown)}))
    elif shown:
        show_jobs(shown, Console(highlight=False), len(found) - len(shown))
    elif every:
        typer.echo(f"None of {len(every)} trainings is {' or '.join(states or ())}.")
    else:
        typer.echo("No training was asked for yet: `labelstream train` asks for one.")


def show_one(
    *,
    job: Newest = None,
    report: Report = None,
    card: Card = None,
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show one training: recipe, dataset, attempts, recoveries, every epoch, and the figures on test.

    Examples:
    - `labelstream jobs show`
    - `labelstream jobs show 3fa9`
    - `labelstream jobs show 3fa9 --report report.html --card card.md`
    - `labelstream jobs show 3fa9 --json | jq .result.test`
    """
    wanted = {name: path for name, path in (("report", report), ("card", card)) if path is not None}

    async def work(place: Place) -> tuple[Shown, dict[str, tuple[Path, bytes]]]:
        state = chosen(await read_book(place), job)
        files = {name: (path, await _file(place, state, name)) for name, path in wanted.items()}
        return await _everything(place, state), files

    shown, files = at_place(Where(directory, url, quiet=as_json), work)
    if as_json:
        typer.echo(json.dumps(everything_as_json(shown, as_entry(shown.state))))
    elif not files:
        show_job(shown, Console(highlight=False))
    for name, (path, data) in files.items():
        _save(path, data, name)


async def _everything(place: Place, state: JobState) -> Shown:
    lease = None
    if state.ended is None:
        lease = await Leases(place.blobs, NAME).look(keys.job(state.project, state.job, LEASE))
    finished = isinstance(state.ended, TrainingFinished)
    model = await model_of(place, state.project, state.job) if finished else None
    return Shown(state, lease, model)


async def _file(place: Place, state: JobState, name: str) -> bytes:
    """Return the report or the card. Raises CommandFailed when there is none, Rejected, Unavailable."""
    reference: FileRef | None = getattr(state.ended, name, None)
    if reference is None:
        why = f"has none: it is {state.state}" if state.state != "finished" else f"was finished without a {name}"
        raise CommandFailed(f"the job {state.job[:12]} {why}")
    return await read_rewritten(place.blobs, reference)


def _save(path: Path, data: bytes, name: str) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise typer.BadParameter(f"{path} can't be written: {error.strerror}") from error
    ERRORS.print(f"The {name} is in {path}.", markup=False, soft_wrap=True)
