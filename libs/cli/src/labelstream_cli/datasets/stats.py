"""labelstream dataset stats: a page that shows what is in a dataset."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from labelstream_cli.datasets.catalogue import Stored, chosen
from labelstream_cli.datasets.options import Dataset, Url
from labelstream_cli.datasets.place import Place, Where, at_place
from labelstream_cli.datasets.reading import Streams, require_project, streams
from labelstream_cli.datasets.tables import show_counts
from labelstream_cli.datasets.words import COLUMNS, SHORT
from labelstream_cli.running import Directory, Json, Project, failed
from labelstream_datasets.checking.diff import originals
from labelstream_datasets.loading import load_manifest
from labelstream_datasets.manifest import Manifest
from labelstream_datasets.statistics import Original, Statistics, measure
from labelstream_datasets.statistics.page import page
from labelstream_datasets.statistics.sheet import contact_sheet, thumbnails
from labelstream_local.layout import DEFAULT


@dataclass(frozen=True)
class _Measured:
    stored: Stored
    statistics: Statistics
    html: str | None  # None: nobody asked for it


def dataset_stats(
    dataset: Dataset,
    out: Annotated[
        Path | None, typer.Option(metavar="PAGE.html", help="Where the page goes; default: dataset-ID.html.")
    ] = None,
    no_sheet: Annotated[bool, typer.Option("--no-sheet", help="Without pictures of samples.")] = False,
    project: Project = "default",
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show what is in a dataset: classes, boxes, images, duplicates, and samples with their boxes.

    Writes one self-contained HTML page. With --json, prints the numbers, and writes a page only with --out.

    Examples:
    - `labelstream dataset stats 3fa9`
    - `labelstream dataset stats 3fa9 --out baseline.html --no-sheet`
    - `labelstream dataset stats 3fa9 --json | jq .findings`
    """
    if out is not None:
        _require_page(out)
    where = Where(directory, project, url, quiet=as_json)
    paged = out is not None or not as_json
    found = at_place(where, lambda place: _measured(place, dataset, paged=paged, sheet=not no_sheet))
    target = out or Path(f"dataset-{found.stored.id[:SHORT]}.html")
    if found.html is not None:
        _write(target, found.html)
    if as_json:
        typer.echo(found.statistics.model_dump_json())
    else:
        _show(found, target, Console(highlight=False))


async def _measured(place: Place, prefix: str, *, paged: bool, sheet: bool) -> _Measured:
    await require_project(place)
    stored = await chosen(place, prefix)
    description = stored.description
    manifest = await load_manifest(place.blobs, description)
    async with streams(place) as read:
        images = _originals(stored, manifest, read)
        statistics = await asyncio.to_thread(lambda: measure(description, manifest, images))
    if not paged:
        return _Measured(stored, statistics, None)
    name = stored.kept.name if stored.kept else None
    if not sheet:
        return _Measured(stored, statistics, await asyncio.to_thread(page, statistics, name=name))
    drawn = await contact_sheet(place.blobs, description, manifest, statistics)
    thumbs = await thumbnails(place.blobs, description, manifest, statistics.duplicates)
    return _Measured(stored, statistics, await asyncio.to_thread(page, statistics, drawn, thumbs, name))


def _originals(stored: Stored, manifest: Manifest, read: Streams) -> Iterator[Original]:
    """Yield each image of the dataset with its boxes; what was erased since is left out."""
    description, rows = stored.description, originals(manifest)
    rules = description.rules
    standing = read.view.standing(read.project, at=description.cut.offset, unvalidated=not description.validated_only)
    for entry in standing:
        row = rows.get(entry.annotation.image.sha256)
        if row is not None:
            yield Original(row, rules.apply(entry.annotation.shapes), entry.annotation.image)


def _show(found: _Measured, target: Path, console: Console) -> None:
    console.print(f"[bold]{found.stored.id}[/]", soft_wrap=True)
    show_counts(found.stored.description, console)
    console.print(f"[dim]{COLUMNS}[/]")
    console.print()
    for finding in found.statistics.findings:
        style = "red" if finding.weight == "bad" else "yellow"
        console.print(f"[{style}]•[/] {escape(finding.text)}")
    console.print(f"The page is {target}.", markup=False, soft_wrap=True)


def _require_page(target: Path) -> None:
    """Say that a page can't be written before anything is measured for it."""
    if not target.absolute().parent.is_dir():
        raise failed(f"{target} can't be written: there is no directory {target.absolute().parent}")
    if target.is_dir():
        raise failed(f"{target} is a directory: name the page in it, such as {target / 'dataset.html'}")


def _write(target: Path, html: str) -> None:
    try:
        target.write_text(html, encoding="utf-8")
    except OSError as error:
        raise failed(f"{target} can't be written: {error.strerror}") from error
