"""labelstream dataset verify: whether a dataset is still what it was."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from labelstream.errors import Misconfigured, Rejected
from labelstream_cli.datasets.catalogue import Stored, chosen
from labelstream_cli.datasets.check_view import show_verdict
from labelstream_cli.datasets.dry import ReadOnly
from labelstream_cli.datasets.options import Dataset, Url
from labelstream_cli.datasets.place import Place, Where, at_place
from labelstream_cli.datasets.reading import Streams, require_project, streams
from labelstream_cli.running import Directory, Json, Project
from labelstream_datasets.building.build import build, plan_of
from labelstream_datasets.building.published import load_published
from labelstream_datasets.checking.verify import Rebuilt, Verdict, verify
from labelstream_local.layout import DEFAULT


def verify_dataset(
    dataset: Dataset,
    deep: Annotated[bool, typer.Option("--deep", help="Download every archive and check what is in it.")] = False,
    names: Annotated[bool, typer.Option("--names", help="List every annotation that something is wrong with.")] = False,
    project: Project = "default",
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Build a dataset again from the streams, compare the two, and look up everything that it needs in the store.

    Exit code 1 when something is not as it was; what was erased since is named.

    Examples:
    - `labelstream dataset verify 3fa9`
    - `labelstream dataset verify 3fa9 --deep --json | jq .findings`
    """
    where = Where(directory, project, url, quiet=as_json)
    verdict = at_place(where, lambda place: _verified(place, dataset, deep=deep))
    if as_json:
        typer.echo(json.dumps({**verdict.model_dump(mode="json"), "sound": verdict.sound}))
    else:
        show_verdict(verdict, Console(highlight=False), names=names)
    if not verdict.sound:
        raise typer.Exit(1)


async def _verified(place: Place, prefix: str, *, deep: bool) -> Verdict:
    await require_project(place)
    stored = await chosen(place, prefix)
    async with streams(place) as read:
        rebuilt = await _rebuilt(place, stored, read)
        with tempfile.TemporaryDirectory(prefix="labelstream-verify-") as scratch:
            return await verify(
                place.blobs,
                stored.description,
                rebuilt,
                Path(scratch),
                deep=deep,
                told=lambda done, total: place.tell("archives", done, total),
            )


async def _rebuilt(place: Place, stored: Stored, read: Streams) -> Rebuilt:
    """Build the dataset again. Raises Unavailable."""
    description = stored.description

    def known(name: str) -> bool:
        return read.view.entry(place.project, name) is not None

    try:
        published = await load_published(place.blobs, description)
        plan = plan_of(description, published)
        return Rebuilt(await build(read.view, read.index, plan, ReadOnly(place.blobs)), known=known)
    except (Rejected, Misconfigured, ValueError) as error:  # ValueError: the streams do not reach that far
        return Rebuilt(None, f"it can't be built again: {error}", known)
