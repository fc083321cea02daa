"""labelstream dataset diff: what changed between two datasets."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated

import typer
from rich.console import Console

from labelstream_cli.datasets.catalogue import Stored, chosen
from labelstream_cli.datasets.compare_view import show_difference
from labelstream_cli.datasets.options import Dataset, Url
from labelstream_cli.datasets.place import Place, Where, at_place
from labelstream_cli.datasets.reading import require_project
from labelstream_cli.running import Directory, Json, Project
from labelstream_datasets.checking.diff import Difference, compare
from labelstream_datasets.loading import load_manifest
from labelstream_datasets.store import BuiltDataset
from labelstream_local.layout import DEFAULT


def diff_datasets(
    old: Dataset,
    new: Dataset,
    names: Annotated[bool, typer.Option("--names", help="List the annotations, not only how many.")] = False,
    project: Project = "default",
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Say what changed from one dataset to another: images, labels, splits, classes, options.

    With the same options no image moves between splits; one that did is said loudly.

    Examples:
    - `labelstream dataset diff 3fa9 b07c`
    - `labelstream dataset diff 3fa9 b07c --names`
    - `labelstream dataset diff 3fa9 b07c --json | jq '.relabelled[].name'`
    """
    found = at_place(Where(directory, project, url, quiet=as_json), lambda place: _compared(place, old, new))
    if as_json:
        leaking = len(found.leaking)
        typer.echo(json.dumps({**found.model_dump(mode="json"), "identical": found.identical, "leaking": leaking}))
    else:
        show_difference(found, Console(highlight=False), names=names)


async def _compared(place: Place, old: str, new: str) -> Difference:
    await require_project(place)
    before, after = await chosen(place, old), await chosen(place, new)
    return await asyncio.to_thread(compare, await _loaded(place, before), await _loaded(place, after))


async def _loaded(place: Place, stored: Stored) -> BuiltDataset:
    return BuiltDataset(stored.description, await load_manifest(place.blobs, stored.description))
