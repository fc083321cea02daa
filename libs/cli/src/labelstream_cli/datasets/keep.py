"""labelstream dataset forget: a dataset that need not be kept any more."""

from __future__ import annotations

import json

import typer

from labelstream_cli.datasets.catalogue import Stored, chosen, forget
from labelstream_cli.datasets.options import Dataset, Url
from labelstream_cli.datasets.place import Place, Where, at_place
from labelstream_cli.datasets.reading import require_project
from labelstream_cli.datasets.words import SHORT
from labelstream_cli.running import Directory, Json, Project
from labelstream_local.layout import DEFAULT


def forget_dataset(
    dataset: Dataset,
    project: Project = "default",
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Stop keeping a dataset that was built by hand.

    Nothing is removed at once: `labelstream gc` removes what no kept dataset and no kept model needs. `labelstream
    dataset build` with the same options keeps it again.

    Examples:
    - `labelstream dataset forget 3fa9`
    """
    stored = at_place(Where(directory, project, url, quiet=as_json), lambda place: _forget(place, dataset))
    was_kept = stored.kept is not None
    if as_json:
        typer.echo(json.dumps({"id": stored.id, "was_kept": was_kept}))
    elif was_kept:
        typer.echo(f"Dataset {stored.id[:SHORT]} is kept no more; `labelstream gc` removes what nothing else needs.")
    else:
        typer.echo(f"Dataset {stored.id[:SHORT]} was not kept.")


async def _forget(place: Place, prefix: str) -> Stored:
    await require_project(place)
    stored = await chosen(place, prefix)
    await forget(place.blobs, place.project, stored.id)
    return stored
