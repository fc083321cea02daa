"""labelstream dataset pull and export: a dataset from the store onto this disk."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from labelstream.errors import Misconfigured, Rejected
from labelstream.values import Split
from labelstream_cli.datasets.catalogue import Stored, chosen
from labelstream_cli.datasets.options import Dataset, Splits, Url, splits_of
from labelstream_cli.datasets.place import Place, Where, at_place
from labelstream_cli.datasets.reading import require_project
from labelstream_cli.datasets.words import SHORT, count
from labelstream_cli.running import CommandFailed, Directory, Json, Project, failed
from labelstream_datasets.exports import FORMS, Exported, Form, export
from labelstream_datasets.exports.targets import beside, require_target
from labelstream_datasets.layout.disk import require_place, writing
from labelstream_datasets.layout.materialise import DISK_HINT, materialise
from labelstream_local.layout import DEFAULT


def pull_dataset(
    dataset: Dataset,
    target: Annotated[Path, typer.Argument(metavar="DIR", help="A directory of its own.", show_default=False)],
    splits: Splits = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Remove another dataset, or other files, that lie in its folders.")
    ] = False,
    *,
    project: Project = "default",
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Lay a dataset out as a folder that YOLO trainers read: data.yaml, {train,val,test}/{images,labels}.

    Every archive is checked against its digest. Interrupted, the same command goes on. A directory that holds another
    dataset, or other splits, is refused unless --replace is given.

    Examples:
    - `labelstream dataset pull 3fa9 baseline/`
    - `labelstream dataset pull 3fa9 held-out/ --splits test`
    - `labelstream dataset pull 77c0 baseline/ --replace`
    """
    wanted = _wanted(splits)
    _require(lambda: require_place(target, folder=True))
    where = Where(directory, project, url, quiet=as_json)
    stored = at_place(where, lambda place: _pulled(place, dataset, target, wanted, replace=replace))
    samples = sum(stored.description.count(split).samples for split in wanted)
    if as_json:
        typer.echo(json.dumps({"id": stored.id, "directory": str(target), "splits": wanted, "samples": samples}))
    else:
        typer.echo(f"Dataset {stored.id[:SHORT]} lies in {target}: {count(samples, 'image')} with their labels.")


def export_dataset(  # noqa: PLR0913 -- typer makes an option of each
    dataset: Dataset,
    form: Annotated[str, typer.Option("--format", metavar="|".join(FORMS), help="How it is written.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR|FILE.zip", help="A new directory or zip.")],
    originals: Annotated[bool, typer.Option("--originals", help="Without the augmented variants.")] = False,
    splits: Splits = None,
    *,
    project: Project = "default",
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Write a dataset in the form of other tools, as a folder or a zip.

    Examples:
    - `labelstream dataset export 3fa9 --format coco --out baseline-coco/`
    - `labelstream dataset export 3fa9 --format voc --out baseline.zip --originals`
    - `labelstream dataset export 3fa9 --format yolo --out test-only/ --splits test`
    """
    wanted = _wanted(splits)
    chosen_form = _form(form)
    _require(lambda: require_target(out))
    where = Where(directory, project, url, quiet=as_json)

    async def work(place: Place) -> Exported:
        return await _exported(place, dataset, chosen_form, out, wanted, variants=not originals)

    made = at_place(where, work)
    if as_json:
        said = {"form": made.form, "images": made.images, "boxes": made.boxes}
        typer.echo(json.dumps({"target": str(made.target), **said}))
    else:
        held = f"{count(made.images, 'image')} with {count(made.boxes, 'box')}"
        typer.echo(f"Dataset {dataset} lies in {made.target}, as {made.form}: {held}.")


async def pulled(
    place: Place, stored: Stored, target: Path, splits: tuple[Split, ...], *, replace: bool = False
) -> Path:
    """Lay a dataset out, and show how far that is. Raises CommandFailed when it can't be had; Misconfigured."""

    def told(done: int, total: int) -> None:
        place.tell("samples", done, total)

    try:
        return await materialise(place.blobs, place.health, stored.file, target, splits, told, replace=replace)
    except Rejected as error:
        raise CommandFailed(f"{error.reason}. {error.hint}") from error


async def _pulled(place: Place, dataset: str, target: Path, splits: tuple[Split, ...], *, replace: bool) -> Stored:
    await require_project(place)
    stored = await chosen(place, dataset)
    await pulled(place, stored, target, splits, replace=replace)
    return stored


async def _exported(
    place: Place, dataset: str, form: Form, out: Path, splits: tuple[Split, ...], *, variants: bool
) -> Exported:
    await require_project(place)
    stored = await chosen(place, dataset)

    def told(done: int, total: int) -> None:
        place.tell("written", done, total)

    with writing(out, DISK_HINT), beside(out, "pulled") as scratch:
        folder = await pulled(place, stored, scratch / "dataset", splits)
        return await asyncio.to_thread(
            export, folder, stored.description, form, out, told, variants=variants, splits=splits
        )


def _wanted(text: str | None) -> tuple[Split, ...]:
    try:
        return splits_of(text)
    except Misconfigured as problem:
        raise failed(problem) from problem


def _form(text: str) -> Form:
    for form in FORMS:
        if text.lower() == form:
            return form
    raise typer.BadParameter(f"--format {text!r}: there are {', '.join(FORMS)}")


def _require(check: Callable[[], None]) -> None:
    """Say that a target can't be had before anything is downloaded for it."""
    try:
        check()
    except Misconfigured as problem:
        raise failed(problem) from problem
