"""labelstream models compare: two models side by side."""

from __future__ import annotations

import asyncio
import json
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from labelstream_cli.jobs.options import Url
from labelstream_cli.jobs.place import Where
from labelstream_cli.models.book import chosen, read_books
from labelstream_cli.models.browse import write
from labelstream_cli.models.compare_view import comparison_as_json, show_comparison
from labelstream_cli.models.comparison import Comparison, comparison
from labelstream_cli.models.options import MEANT, OfProject
from labelstream_cli.models.page import page
from labelstream_cli.models.pictures import shots_of
from labelstream_cli.models.place import ModelsPlace, at_models
from labelstream_cli.models.side import Side, side_of
from labelstream_cli.running import ERRORS, Directory, Json, failed
from labelstream_local.layout import DEFAULT

First = Annotated[str, typer.Argument(metavar="A", help=f"{MEANT}.", show_default=False)]
Second = Annotated[str, typer.Argument(metavar="B", help="The other one, likewise.", show_default=False)]
PageFile = Annotated[
    Path | None, typer.Option("--page", metavar="FILE", help="Write a page as well: one HTML file, with examples.")
]
Open = Annotated[bool, typer.Option("--open", help="Open the page in a browser; without --page, compare-A-B.html.")]


@dataclass(frozen=True)
class _Compared:
    found: Comparison
    html: str | None


def compare_models(
    *,
    first: First,
    second: Second,
    page_file: PageFile = None,
    open_it: Open = False,
    project: OfProject = None,
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Compare two models: figures with intervals, classes, formats, and what was made otherwise.

    The figures are of the same test images where one's training measured the other, or both come from one dataset;
    else this is said. The page shows test images on which both differ most: it holds pictures of your data.

    Examples:
    - `labelstream models compare 3fa9 serving`
    - `labelstream models compare 3fa9 b07c --page compare.html --open`
    - `labelstream models compare 3fa9 b07c --json | jq .figures`
    """
    if page_file is not None and not page_file.absolute().parent.is_dir():
        raise failed(f"{page_file} can't be written: there is no directory {page_file.absolute().parent}")
    paged = page_file is not None or open_it

    async def work(place: ModelsPlace) -> _Compared:
        books = await read_books(place.place)
        sides = [await side_of(place, books, chosen(books.models, told, project)) for told in (first, second)]
        found = comparison(books, *sides)
        return _Compared(found, await _page(place, found) if paged else None)

    done = at_models(Where(directory, url, project, quiet=as_json), work)
    if as_json:
        typer.echo(json.dumps(comparison_as_json(done.found)))
    else:
        show_comparison(done.found, Console(highlight=False))
    if done.html is not None:
        target = page_file or Path(f"compare-{_short(done.found.a)}-{_short(done.found.b)}.html")
        write(target, done.html.encode())
        ERRORS.print(f"The page is {target}.", markup=False, soft_wrap=True)
        if open_it:
            webbrowser.open(target.absolute().as_uri())


async def _page(place: ModelsPlace, found: Comparison) -> str:
    schema = found.b.manifest.class_schema if found.b.manifest else None
    names = schema.classes if schema else tuple(each.name for each in found.classes)
    shots = await shots_of(place.place.blobs, found.b.state.project, found.pairs, names)
    return await asyncio.to_thread(page, found, shots)


def _short(side: Side) -> str:
    return side.state.model[:8]
