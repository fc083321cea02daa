"""labelstream secrets make."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from labelstream.values import Project
from labelstream_cli.running import CommandFailed, Json, failed
from labelstream_local.process import StartFailed
from labelstream_local.rights import Served, may_be_input
from labelstream_local.workloads import FOR_PEOPLE, SERVED, Made, make, served_before

DEFAULT_DIRECTORY = Path("deploy/secrets")

Into = Annotated[Path, typer.Option(help="A directory for them alone; only its owner may enter it.")]
Projects = Annotated[
    list[str] | None,
    typer.Option(
        "--project",
        metavar="NAME",
        help="A project to serve, with those of last time; again for more. Default: as last time, or `default`.",
    ),
]
Dropped = Annotated[
    list[str] | None,
    typer.Option("--drop", metavar="NAME", help="A project or an input that is served no more; again for more."),
]
Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="STREAM",
        help="An input stream beside those of the projects and of last time, as annotation-ingest is told of; again "
        "for more.",
    ),
]


def make_secrets(
    into: Into = DEFAULT_DIRECTORY,
    project: Projects = None,
    extra: Inputs = None,
    drop: Dropped = None,
    as_json: Json = False,
) -> None:
    """Generate what compose and Kubernetes need: passwords, keys, and what broker and store are told of each service.

    One secret is one file. What is there stays: run it again after an update, or for another project. Other names of
    projects change who may read and write which streams, so let the broker read its definitions again then.

    Examples:
    - `labelstream secrets make`
    - `labelstream secrets make --project default --project harbour`
    - `labelstream secrets make --drop default`
    - `labelstream secrets make --into /etc/labelstream/secrets --input azaion-annotations`
    """
    try:
        served = _served(into, project or [], extra or [], drop or [])
        made = make(into, served)
    except OSError as error:
        raise failed(f"{error.filename or into} can't be written: {error.strerror}") from error
    except (CommandFailed, StartFailed) as error:
        raise failed(error) from error
    if as_json:
        told = {"directory": str(into), "projects": served.projects, "inputs": served.inputs}
        typer.echo(json.dumps({**told, **asdict(made)}))
    else:
        _tell(into, served, made)


def _served(into: Path, projects: list[str], inputs: list[str], dropped: list[str]) -> Served:
    """Return what the files are to be made for. Raises CommandFailed for a directory that holds something else."""
    try:
        before = served_before(into)
    except ValueError as error:
        raise CommandFailed(f"{into / SERVED} can't be read: {error}; remove it, and name the projects") from error
    if before is None and into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise CommandFailed(f"{into} holds something else: name a directory that is empty, or new, with --into")
    known = before or Served(projects=() if projects else Served.projects)
    unknown = set(dropped) - {*known.projects, *known.more_inputs}
    if unknown:
        served = ", ".join((*known.projects, *known.more_inputs)) or "nothing yet"
        raise CommandFailed(f"--drop {', '.join(sorted(unknown))}: what is served is {served}")
    left = [name for name in dict.fromkeys((*known.projects, *map(_project, projects))) if name not in dropped]
    if not left:
        raise CommandFailed("no project would be left: name another one with --project")
    more = [name for name in dict.fromkeys((*known.more_inputs, *map(_input, inputs))) if name not in dropped]
    return Served(tuple(left), tuple(more))


def _project(name: str) -> str:
    try:
        return TypeAdapter(Project).validate_python(name)
    except ValidationError as error:
        raise typer.BadParameter(
            f"{name!r} can't be a project: small letters, digits and hyphens, at most 63, and the first is no hyphen"
        ) from error


def _input(name: str) -> str:
    if not name or not may_be_input(name):
        raise typer.BadParameter(f"{name!r} can't be an input stream: Labelstream's own streams and queues have it")
    return name


def _tell(into: Path, served: Served, made: Made) -> None:
    typer.echo(f"{into}: {len(made.generated)} generated, {len(made.written)} written, {made.kept} as before.")
    typer.echo(f"For the streams {', '.join((*served.inputs, *served.proposals))}.")
    typer.echo(f"For people: {', '.join(FOR_PEOPLE)}. Who can read these files can do everything: keep a copy safe.")
