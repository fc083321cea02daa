"""labelstream trace: the life of one annotation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from labelstream.blobs.s3 import S3Blobs
from labelstream.service.health import Health
from labelstream_cli.reaching import bars, broker_at
from labelstream_cli.running import Directory, Json, Project, failed, run, stack_with
from labelstream_cli.tracing import Life, closest_names, trace
from labelstream_cli.tracing.view import show_life
from labelstream_local.layout import DEFAULT

_NAME = "labelstream trace"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("trace")(_trace)


def _trace(
    name: Annotated[str, typer.Argument(help="The annotation's name.")],
    project: Project = "default",
    datasets: Annotated[int, typer.Option(min=0, help="Look into at most so many datasets, the newest.")] = 50,
    directory: Directory = DEFAULT,
    as_json: Json = False,
) -> None:
    """Show the life of one annotation: its messages and receipts, archives, datasets, trainings and models.

    Exit code 1, and names like it, when no receipt names it.

    Examples:
    - `labelstream trace frame-1`
    - `labelstream trace frame-1 --project harbour --json | jq .in_service`
    """
    life, like = run(_work(directory, project, name, datasets, quiet=as_json))
    if as_json:
        typer.echo(json.dumps({**life.as_json(), "like": like}))
    elif life.exists:
        show_life(life, Console())
    if not life.exists:
        hint = f"Did you mean {', '.join(like)}?" if like else "No name is like it either."
        raise failed(f"no receipt of project {project} names {name!r}. {hint}")


async def _work(directory: Path, project: str, name: str, datasets: int, *, quiet: bool) -> tuple[Life, list[str]]:
    stack = stack_with(directory, project)
    blobs = S3Blobs(stack.store, stack.store.data_bucket, Health())
    try:
        async with broker_at(stack.broker, _NAME) as broker:
            with bars(quiet=quiet) as tell:
                life = await trace(broker, blobs, project, name, tell=tell, most_datasets=datasets)
                return life, [] if life.exists else await closest_names(broker, project, name, tell=tell)
    finally:
        await blobs.close()
