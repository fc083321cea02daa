"""labelstream dataset list and show."""

from __future__ import annotations

import json
from typing import Any

import typer
from rich.console import Console

from labelstream_cli.datasets.browse_view import show_list, show_one
from labelstream_cli.datasets.catalogue import Catalogue, Stored, catalogue, chosen
from labelstream_cli.datasets.options import Dataset, Url
from labelstream_cli.datasets.place import Place, Where, at_place
from labelstream_cli.datasets.reading import require_project
from labelstream_cli.datasets.uses import Uses, uses
from labelstream_cli.running import Directory, Json, Project
from labelstream_datasets.checking.diff import unusual_options
from labelstream_local.layout import DEFAULT


def list_datasets(
    project: Project = "default", directory: Directory = DEFAULT, url: Url = None, as_json: Json = False
) -> None:
    """List the datasets of a project, the oldest first: what they hold, how they differ, what used them.

    Examples:
    - `labelstream dataset list`
    - `labelstream dataset list --json | jq '.datasets[] | select(.kept)'`
    """
    found, used = at_place(Where(directory, project, url, quiet=as_json), _listed)
    if as_json:
        datasets = [as_entry(one, used.get(one.id, Uses())) for one in found.datasets]
        typer.echo(json.dumps({"project": project, "datasets": datasets, "unreadable": found.unreadable}))
    else:
        show_list(project, found, used, Console(highlight=False))


def show_dataset(
    dataset: Dataset,
    project: Project = "default",
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show one dataset: how it was built, what it holds, and what used it.

    Examples:
    - `labelstream dataset show 3fa9`
    - `labelstream dataset show baseline`
    - `labelstream dataset show 3fa9 --json | jq .description.counts`
    """
    stored, used = at_place(Where(directory, project, url, quiet=as_json), lambda place: _one(place, dataset))
    if as_json:
        description = stored.description.model_dump(mode="json")
        typer.echo(json.dumps({**as_entry(stored, used), "file": stored.file.model_dump(), "description": description}))
    else:
        show_one(stored, used, Console(highlight=False))


def as_entry(stored: Stored, used: Uses) -> dict[str, Any]:
    """Return a dataset as lists have it, for machines."""
    description = stored.description
    return {
        "id": stored.id,
        "made": stored.made.isoformat(),
        "cut": description.cut.offset,
        "recipe": description.recipe,
        "samples": {split: held.samples for split, held in description.counts.items()},
        "options": unusual_options(description),
        "kept": stored.kept is not None,
        "name": stored.kept.name if stored.kept else None,
        "names": stored.kept.names if stored.kept else (),
        **used.as_json(),
    }


async def _listed(place: Place) -> tuple[Catalogue, dict[str, Uses]]:
    await require_project(place)
    return await catalogue(place), await uses(place)


async def _one(place: Place, prefix: str) -> tuple[Stored, Uses]:
    await require_project(place)
    stored = await chosen(place, prefix)
    return stored, (await uses(place)).get(stored.id, Uses())
