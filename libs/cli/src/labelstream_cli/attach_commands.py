"""labelstream attach: let every command work on a compose project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from labelstream_cli.running import Directory, Json, failed
from labelstream_local.compose import DIRECTORY, PROJECT, SECRETS, attached
from labelstream_local.process import StartFailed

Secrets = Annotated[Path, typer.Option(help="The directory of secrets that the project was started with.")]
Project = Annotated[str, typer.Option(help="The compose project's name.", envvar="COMPOSE_PROJECT_NAME")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("attach")(_attach)


def _attach(
    directory: Directory = DIRECTORY, secrets: Secrets = SECRETS, project: Project = PROJECT, as_json: Json = False
) -> None:
    """Let every command work on a compose project of this machine.

    Asks Docker what runs and where it is published, and notes it. Again after the containers were made anew.

    Examples:
    - `labelstream attach`, then `export LABELSTREAM_DIR=.labelstream/compose` and `labelstream status`
    - `labelstream attach --project harbour --secrets /srv/harbour/secrets --dir .labelstream/harbour`
    """
    try:
        stack = attached(directory, secrets, project)
    except StartFailed as problem:
        raise failed(problem) from problem
    addresses = {name: stack.url(name) for name in stack.services}
    if as_json:
        typer.echo(json.dumps({"directory": str(directory), "projects": stack.record.projects, **addresses}))
        return
    for name, url in addresses.items():
        typer.echo(f"  {name:18} {url}")
    typer.echo(f"`export LABELSTREAM_DIR={directory}` lets every command work on it.")
