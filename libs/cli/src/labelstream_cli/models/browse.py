"""labelstream models list and show."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from labelstream.blobs.checked import read_checked
from labelstream.models import ModelState, Refusal
from labelstream_cli.jobs.options import Url
from labelstream_cli.jobs.place import Place, Where, at_place
from labelstream_cli.models.awaited import Awaited, awaited
from labelstream_cli.models.book import Books, chosen, read_books
from labelstream_cli.models.facts import as_entry, refusal_as_entry, unanswered_refusals
from labelstream_cli.models.list_view import Row, show_models
from labelstream_cli.models.options import ModelId, OfProject
from labelstream_cli.models.place import ModelsPlace, at_models
from labelstream_cli.models.show_view import everything_as_json, show_model
from labelstream_cli.models.side import Side, side_of
from labelstream_cli.running import ERRORS, CommandFailed, Directory, Json
from labelstream_local.layout import DEFAULT

Limit = Annotated[int, typer.Option(min=0, help="At most so many; 0: all.")]
Report = Annotated[Path | None, typer.Option(metavar="FILE", help="Save the bundle's report: one HTML page.")]


@dataclass(frozen=True)
class _Shown:
    books: Books
    side: Side
    report: bytes | None


def list_models(
    *,
    project: OfProject = None,
    limit: Limit = 20,
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List the models, the newest first: their formats, how good they are, which of them serves, and why others don't.

    Trainings that got no model, or wait for one, stand there with the reason; so do formats that wait for a worker.

    Examples:
    - `labelstream models list`
    - `labelstream models list --project harbour --limit 0`
    - `labelstream models list --json | jq -r '.models[] | select(.in_service).model'`
    """

    async def work(place: Place) -> tuple[Books, list[Awaited]]:
        books = await read_books(place)
        return books, await awaited(place, books)

    books, waiting = at_place(Where(directory, url, project, quiet=as_json), work)
    every = [row for row in rows_of(books, waiting) if project in (None, row.project)]
    shown = every[:limit] if limit else every
    more = len(every) - len(shown)
    if as_json:
        models = [as_entry(books, row) for row in shown if isinstance(row, ModelState)]
        refused = [refusal_as_entry(row) for row in shown if isinstance(row, Refusal)]
        ids = {one["model"] for one in models}
        to_come = [each.as_json() for each in waiting if each in shown or each.model in ids]
        typer.echo(json.dumps({"models": models, "refused": refused, "waiting": to_come, "more": more}))
    elif shown:
        show_models(books, shown, Console(highlight=False), waiting, more)
    else:
        typer.echo("No training was exported yet: `labelstream jobs list` shows how far they are.")


def show_one(
    *,
    model: ModelId,
    project: OfProject = None,
    report: Report = None,
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show one model: where it comes from, its figures on test, the proof of each format, and when it served and why.

    Examples:
    - `labelstream models show serving`
    - `labelstream models show 3fa9`
    - `labelstream models show 3fa9 --report report.html`
    - `labelstream models show serving --json | jq '.artifacts[] | {name, agreement}'`
    """

    async def work(place: ModelsPlace) -> _Shown:
        books = await read_books(place.place)
        state = chosen(books.models, model, project)
        saved = await _report(place, state) if report is not None else None
        return _Shown(books, await side_of(place, books, state), saved)

    shown = at_models(Where(directory, url, project, quiet=as_json), work)
    if as_json:
        typer.echo(json.dumps(everything_as_json(shown.books, shown.side)))
    elif report is None:
        show_model(shown.books, shown.side, Console(highlight=False))
    if report is not None and shown.report is not None:
        write(report, shown.report)
        ERRORS.print(f"The report is in {report}.", markup=False, soft_wrap=True)


def rows_of(books: Books, waiting: Sequence[Awaited] = ()) -> list[Row]:
    """Return models, and trainings that were refused or wait, the newest first."""
    rows: list[tuple[int, int, Row]] = [(each.time_ms, -1, each) for each in waiting if each.model is None]
    rows += [(state.envelope.time_ms, state.offset, state) for state in books.models.models.values()]
    rows += [(each.time_ms, -1, each) for each in unanswered_refusals(books.models)]
    return [row for *_, row in sorted(rows, key=lambda one: one[:2], reverse=True)]


def write(path: Path, data: bytes) -> None:
    """Write a file that somebody asked for."""
    try:
        path.write_bytes(data)
    except OSError as error:
        raise typer.BadParameter(f"{path} can't be written: {error.strerror}") from error


async def _report(place: ModelsPlace, state: ModelState) -> bytes:
    """Return a bundle's report. Raises CommandFailed when there is none, Rejected, Unavailable."""
    if state.exported.report is None:
        raise CommandFailed(f"the model {state.model[:12]} was exported without a report")
    return await read_checked(place.models, state.exported.report)
