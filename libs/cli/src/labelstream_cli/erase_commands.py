"""labelstream erase: annotations with their images, for good."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from labelstream.blobs.ports import Blobs
from labelstream.blobs.s3 import S3Blobs
from labelstream.producer import Producer
from labelstream.service.health import Health
from labelstream.streams.ports import Broker
from labelstream_cli.erase.asking import PATIENCE_S, Request, ask, concerned, marks, wait_for_archives
from labelstream_cli.erase.holders import holders
from labelstream_cli.erase.view import Erased, tell_beyond, tell_concerned, tell_erased
from labelstream_cli.reaching import bars, broker_at, one_at_a_time, require_stream
from labelstream_cli.running import CommandFailed, Directory, Json, Project, run, stack_with
from labelstream_local.layout import DEFAULT
from labelstream_local.rights import input_stream
from labelstream_local.stack import Stack

_NAME = "labelstream-erase"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("erase")(_erase)


def _erase(
    names: Annotated[list[str] | None, typer.Argument(help="Names of annotations.", show_default=False)] = None,
    medium: Annotated[str | None, typer.Option(help="Everything of one photo or video instead.")] = None,
    project: Project = "default",
    stream: Annotated[
        str | None,
        typer.Option(help="The input stream to ask on, which must be trusted with it; default: the project's own."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and erase nothing.")] = False,
    directory: Directory = DEFAULT,
    as_json: Json = False,
) -> None:
    """Erase annotations for good: their labels, their images and every variant of them.

    Says first what will go, and which datasets and models were made from it. Those are named, not removed: train
    anew (`labelstream train`) and withdraw what should not serve. An image that another annotation shows stays.

    Examples:
    - `labelstream erase frame-17 frame-18 --dry-run`
    - `labelstream erase --medium film-3.mp4 --yes --json | jq .models`
    """
    if bool(names) == (medium is not None):
        raise typer.BadParameter("name either annotations or a --medium")
    if as_json and not (yes or dry_run):
        raise typer.BadParameter("--json asks nothing: add --yes to erase, or --dry-run to look")
    to = stream or input_stream(project)
    request = Request(project, to, tuple(dict.fromkeys(names or ())), medium)
    preview = run(_look(directory, request, quiet=as_json))
    if not as_json:
        tell_concerned(preview, typer.echo)
    if not dry_run:
        if not yes:
            tell_beyond(to, typer.echo)
            typer.confirm("Erase it? This can't be undone", abort=True)
        preview = run(_do(directory, preview))
    if as_json:
        typer.echo(json.dumps(preview.as_json()))
        return
    if not dry_run:
        tell_erased(preview, typer.echo)
    if dry_run or yes:
        tell_beyond(to, typer.echo)


@dataclass(frozen=True)
class _Place:
    stack: Stack
    broker: Broker
    blobs: Blobs


@asynccontextmanager
async def _at(directory: Path, project: str) -> AsyncIterator[_Place]:
    stack = stack_with(directory, project)
    blobs = S3Blobs(stack.store, stack.store.data_bucket, Health())
    try:
        async with broker_at(stack.broker, _NAME) as broker:
            yield _Place(stack, broker, blobs)
    finally:
        await blobs.close()


async def _look(directory: Path, request: Request, *, quiet: bool) -> Erased:
    """Return what the request concerns. Raises CommandFailed when that is nothing."""
    async with _at(directory, request.project) as place:
        await require_stream(place.broker, request.stream)
        with bars(quiet=quiet) as tell:
            found = await concerned(place.broker, request, tell)
            if not found.names:
                what = f"no annotation of the medium {request.medium!r}" if request.medium else "none of these names"
                raise CommandFailed(
                    f"nothing to erase: {what} is known in the project {request.project}, or it was erased before"
                )
            images = {image.sha256 for image in (*found.images, *found.kept)}
            held = await holders(place.broker, place.blobs, request.project, found.names, images, tell)
    return Erased(request, found, held)


async def _do(directory: Path, preview: Erased) -> Erased:
    request = preview.request
    async with _at(directory, request.project) as place:
        since = await marks(place.broker)
        settings = place.stack.broker
        with one_at_a_time(settings, f"erasing on {request.stream}"):
            async with Producer.connect(settings, request.stream, _NAME, timeout_s=PATIENCE_S) as producer:
                receipts = await ask(producer, request)
        rewritten = await wait_for_archives(place.broker, place.blobs, request.project, receipts, since)
    return replace(preview, receipts=receipts, rewritten=rewritten)
