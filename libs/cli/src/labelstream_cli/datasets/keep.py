"""labelstream dataset forget: a dataset that need not be kept any more."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from labelstream_cli.datasets.browse_view import standing_of
from labelstream_cli.datasets.catalogue import Kept, Stored, chosen, forget, unname
from labelstream_cli.datasets.options import Dataset, Url
from labelstream_cli.datasets.place import Place, Where, at_place
from labelstream_cli.datasets.reading import require_project
from labelstream_cli.datasets.words import SHORT
from labelstream_cli.running import CommandFailed, Directory, Json, Project
from labelstream_local.layout import DEFAULT


def forget_dataset(
    dataset: Dataset,
    name: Annotated[str | None, typer.Option("--name", help="Take only this name; the dataset stays kept.")] = None,
    project: Project = "default",
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Stop keeping a dataset that was built by hand, or take one of its names.

    Nothing is removed at once: `labelstream gc` removes what no kept dataset and no kept model needs. `labelstream
    dataset build` with the same options keeps it again.

    Examples:
    - `labelstream dataset forget 3fa9`
    - `labelstream dataset forget 3fa9 --name baseline`
    """
    where = Where(directory, project, url, quiet=as_json)
    if name is not None:
        _tell_unnamed(*at_place(where, lambda place: _unname(place, dataset, name)), name, as_json=as_json)
        return
    stored = at_place(where, lambda place: _forget(place, dataset))
    was_kept = stored.kept is not None
    if as_json:
        typer.echo(json.dumps({"id": stored.id, "was_kept": was_kept}))
    elif was_kept:
        typer.echo(f"Dataset {stored.id[:SHORT]} is kept no more; `labelstream gc` removes what nothing else needs.")
    else:
        typer.echo(f"Dataset {stored.id[:SHORT]} was not kept.")


async def _forget(place: Place, told: str) -> Stored:
    await require_project(place)
    stored = await chosen(place, told)
    names = stored.kept.names if stored.kept else ()
    others = [name for name in names if name != told.strip()]
    if told.strip() in names and others:
        raise CommandFailed(
            f"the dataset {stored.id[:SHORT]} is kept as {', '.join(others)} too: `labelstream dataset forget "
            f"{stored.id[:SHORT]}` stops keeping it, with --name {told.strip()!r} only that name goes"
        )
    await forget(place.blobs, place.project, stored.id)
    return stored


async def _unname(place: Place, told: str, name: str) -> tuple[Stored, Kept]:
    await require_project(place)
    stored = await chosen(place, told)
    left = await unname(place.blobs, place.project, stored.id, name.strip())
    if left is None:
        raise CommandFailed(f"the dataset {stored.id[:SHORT]} has no name {name!r}: it is {standing_of(stored.kept)}")
    return stored, left


def _tell_unnamed(stored: Stored, left: Kept, name: str, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"id": stored.id, "was_kept": True, "names": left.names}))
    else:
        typer.echo(f"Dataset {stored.id[:SHORT]} has the name {name} no more; it stays {standing_of(left)}.")
