"""labelstream status: what the services do, once or again and again, on this machine or elsewhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from labelstream_cli.running import Directory, Json, failed
from labelstream_cli.status_view import show
from labelstream_cli.status_watch import watch
from labelstream_local.layout import DEFAULT
from labelstream_local.process import StartFailed
from labelstream_local.stack import load
from labelstream_local.status import Status, addresses_of, servers_of, status_at, status_of

WIDE = 160  # characters of a line that goes to a file or a pipe

Services = Annotated[
    list[str] | None,
    typer.Option(
        "--services",
        metavar="NAME=URL|FILE",
        help="A service that runs elsewhere, again for more; or a JSON file that maps their names to addresses.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("status")(_status)


def _status(
    directory: Directory = DEFAULT,
    services: Services = None,
    watched: Annotated[bool, typer.Option("--watch", help="Show it again and again, until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(min=0.2, help="Seconds from one look to the next, with --watch.")] = 2.0,
    as_json: Json = False,
) -> None:
    """Show each service, each stream's length, each consumer's lag, and the current dataset and model.

    Works while things are down, and says so. Services that run in containers or in a cluster are asked at the
    addresses of --services; of those, processes and streams are not known. With --json, --watch prints one object in
    each line.

    Examples:
    - `labelstream status`
    - `labelstream status --watch`
    - `labelstream status --json | jq .figures.stages`
    - `labelstream status --watch --every 5 --services inference=http://127.0.0.1:8085 --services trainer=http://127.0.0.1:8083`
    - `labelstream status --services services.json`
    """
    try:
        if watched:
            if services:
                watch(_addresses(services), every, _console(), as_json=as_json)
            else:
                stack = load(directory)
                watch(addresses_of(stack), every, _console(), partial(servers_of, stack), as_json=as_json)
            return
        status = asyncio.run(status_at(_addresses(services)) if services else status_of(load(directory)))
    except StartFailed as problem:
        if watched or not as_json:
            raise failed(problem) from problem
        status = Status(str(directory.resolve()), False, (), (), (), None, None)  # scripts ask: does it run?
    if as_json:
        typer.echo(json.dumps(status.as_json(), default=str))
    else:
        show(status, _console())


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=max(WIDE, console.width))


def _addresses(told: list[str] | None) -> dict[str, str]:
    """Return where the services are that --services names. Raises typer.BadParameter."""
    found: dict[str, str] = {}
    for one in told or ():
        name, equals, url = one.partition("=")
        for each, address in _read(Path(one)).items() if not equals else [(name, url)]:
            if not address.startswith(("http://", "https://")):
                raise typer.BadParameter(f"{each}={address} is no address of a service: say NAME=http://HOST:PORT")
            if each in found:
                raise typer.BadParameter(f"{each} is named twice: call replicas {each}-1, {each}-2")
            found[each] = address.rstrip("/")
    return found


def _read(path: Path) -> Mapping[str, str]:
    hint = 'it should be like {"inference": "http://127.0.0.1:8085"}'
    try:
        named = json.loads(path.read_text())
    except OSError as error:
        raise typer.BadParameter(f"{path} is neither NAME=URL nor a file that can be read: {error.strerror}") from error
    except ValueError as error:
        raise typer.BadParameter(f"{path} is no JSON ({error}); {hint}") from error
    if not isinstance(named, dict) or not all(isinstance(url, str) for url in named.values()):
        raise typer.BadParameter(f"{path} does not map names to addresses; {hint}")
    return named
