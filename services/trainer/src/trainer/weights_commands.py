"""labelstream weights: detectors that somebody brought, to begin trainings with."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from labelstream.classes import ClassSchema
from labelstream.schemas.recorded import recorded_schema
from labelstream.weights import NAME_FORM, ImportedWeights, list_weights, read_weights
from labelstream_cli.datasets.options import Url
from labelstream_cli.datasets.place import Place, Where, at_place
from labelstream_cli.running import ERRORS, CommandFailed, Directory, Json, Project
from labelstream_local.layout import DEFAULT
from trainer.importing import Brought, bring

_OTHER_NAMES = 12  # how many classes without a counterpart are named on the screen


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Weights: detectors to begin trainings with.")
    group.command("import")(_import)
    group.command("list")(_list)
    group.command("show")(_show)
    app.add_typer(group, name="weights")


def _import(
    file: Annotated[
        Path, typer.Argument(help="A detector's .pt of ultralytics, or .safetensors with architecture.json beside it.")
    ],
    name: Annotated[
        str | None, typer.Option(help="What recipes call them (`weights: NAME`). Default: the file's name.")
    ] = None,
    project: Project = "default",
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Bring weights into a project, for recipes that begin with them.

    The file is read by an allow-list of classes, in a process without secrets and without network; what is no detector
    is refused. Classes are matched with the project's by their names; what both know is taken over by a training.

    Examples:
    - `labelstream weights import yolo11n.pt`
    - `labelstream weights import ~/runs/harbour/best.pt --name harbour-2025 --project harbour`
    - `labelstream weights import yolo11n.pt --json | jq .matched`
    """
    called = name or re.sub(r"[^a-z0-9._-]+", "-", file.stem.lower()).strip("-.")
    if not re.match(NAME_FORM, called):
        raise typer.BadParameter(f"{called!r}: a name is of a-z, 0-9, dots and hyphens, 63 at most (--name)")

    async def work(place: Place) -> tuple[Brought, ClassSchema]:
        schema = await recorded_schema(place.blobs, place.project)
        with tempfile.TemporaryDirectory(prefix="labelstream-weights-") as scratch:
            return await bring(place.blobs, place.project, called, file, Path(scratch)), schema

    brought, schema = at_place(Where(directory, project, url, quiet=as_json), work)
    if not brought.confined:
        ERRORS.print("On this system the file was read without being kept from the network.", style="yellow")
    if as_json:
        typer.echo(json.dumps({**_entry(brought.weights, schema), "was_there": brought.was_there}))
        return
    weights = brought.weights
    said = "was there already" if brought.was_there else f"came in from {weights.source}"
    Console(highlight=False).print(f"{weights.name} {said}.", markup=False)
    _print(weights, schema, Console(highlight=False))
    typer.echo(f"A recipe begins with them by `weights: {weights.name}`.")


def _list(project: Project = "default", directory: Directory = DEFAULT, url: Url = None, as_json: Json = False) -> None:
    """List the weights of a project.

    Examples:
    - `labelstream weights list`
    - `labelstream weights list --json | jq -r '.weights[].name'`
    """

    async def work(place: Place) -> tuple[list[ImportedWeights], ClassSchema]:
        return await list_weights(place.blobs, place.project), await recorded_schema(place.blobs, place.project)

    found, schema = at_place(Where(directory, project, url, quiet=as_json), work)
    if as_json:
        typer.echo(json.dumps({"project": project, "weights": [_entry(one, schema) for one in found]}))
        return
    if not found:
        typer.echo(f"The project {project} has no weights yet: `labelstream weights import FILE` brings some.")
        return
    table = Table("name", "imported", "from", "classes", "known here", "parameters", box=None, padding=(0, 2, 0, 0))
    for one in found:
        known = str(len(_matched(one, schema)))
        day = f"{one.imported:%Y-%m-%d}"
        table.add_row(one.name, day, escape(one.source), str(len(one.names)), known, f"{one.parameters:,}")
    Console(highlight=False).print(table)


def _show(
    name: Annotated[str, typer.Argument(help="The name that they were imported by.")],
    project: Project = "default",
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show what weights are, and which of the project's classes they know.

    Examples:
    - `labelstream weights show harbour-2025`
    - `labelstream weights show yolo11n --json | jq .unmatched`
    """

    async def work(place: Place) -> tuple[ImportedWeights, ClassSchema]:
        found = await read_weights(place.blobs, place.project, name)
        if found is None:
            known = ", ".join(one.name for one in await list_weights(place.blobs, place.project)) or "none"
            raise CommandFailed(f"the project {place.project} has no weights {name!r}; it has {known}")
        return found, await recorded_schema(place.blobs, place.project)

    weights, schema = at_place(Where(directory, project, url, quiet=as_json), work)
    if as_json:
        typer.echo(json.dumps(_entry(weights, schema)))
    else:
        _print(weights, schema, Console(highlight=False))


def _matched(weights: ImportedWeights, schema: ClassSchema) -> list[str]:
    known = {name.strip().casefold() for name in weights.names}
    return [name for name in schema.classes if name.strip().casefold() in known]


def _entry(weights: ImportedWeights, schema: ClassSchema) -> dict[str, object]:
    matched = _matched(weights, schema)
    unmatched = [name for name in schema.classes if name not in matched]
    return {**weights.model_dump(mode="json"), "matched": matched, "unmatched": unmatched}


def _print(weights: ImportedWeights, schema: ClassSchema, console: Console) -> None:
    matched = _matched(weights, schema)
    unmatched = [name for name in schema.classes if name not in matched]
    table = Table("", "", box=None, padding=(0, 2, 0, 0), show_header=False)
    size = f"{weights.parameters:,} parameters, trained at {weights.image_size} pixels"
    for label, text in (
        ("id", weights.id),
        ("network", size),
        ("classes", f"{len(weights.names)}: {_some(weights.names)}"),
        ("known here", _some(matched) or "none of them: only the network below the classes is taken over"),
        ("new to them", _some(unmatched) or "none"),
    ):
        table.add_row(f"[dim]{label}[/]", escape(text))
    console.print(table)


def _some(names: tuple[str, ...] | list[str]) -> str:
    more = len(names) - _OTHER_NAMES
    return ", ".join(names[:_OTHER_NAMES]) + (f" and {more} more" if more > 0 else "")
