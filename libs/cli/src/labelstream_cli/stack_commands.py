"""labelstream up and down: the embedded stack on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from labelstream.errors import Misconfigured
from labelstream.schemas import load_named_schema, names
from labelstream_cli.running import ERRORS, Directory, Json, failed
from labelstream_cli.setting import variables_of
from labelstream_local.layout import DEFAULT
from labelstream_local.process import StartFailed
from labelstream_local.services import NAMES, ON_REQUEST
from labelstream_local.stack import Options, Stack, down, load, projects_of, requested_before, up

ANSWERING = (*NAMES, *ON_REQUEST)  # what has an address of its own


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("up")(_up)
    app.command("down")(_down)
    app.command("url")(_url)


def _up(  # noqa: PLR0913 -- typer makes an option of each
    *,
    directory: Directory = DEFAULT,
    service: Annotated[
        list[str] | None, typer.Option(help=f"Start only this service; again for more. One of: {', '.join(NAMES)}.")
    ] = None,
    project: Annotated[
        list[str] | None, typer.Option(help="A project to serve; again for more. Default: as last time, or `default`.")
    ] = None,
    schema: Annotated[
        str | None,
        typer.Option(
            help="The class schema: a shipped name or the path of a file. Default: as last time, or `example`."
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="SERVICE.SETTING=VALUE",
            help="A setting of a service, as its README lists them; of `all`: `log_level`, `tracing.…`. Again: more. "
            "Kept until it is set to nothing.",
        ),
    ] = None,
    mlflow: Annotated[
        bool, typer.Option("--mlflow", help="Also start an MLflow server, to which the trainer mirrors its runs.")
    ] = False,
    observability: Annotated[
        bool, typer.Option("--observability", help="Also start a Prometheus, which watches everything.")
    ] = False,
    within: Annotated[float, typer.Option(help="Seconds that each program may take to come up.")] = 180.0,
    as_json: Json = False,
) -> None:
    """Start RabbitMQ, SeaweedFS and the services, and leave them running.

    Everything listens on 127.0.0.1, with generated secrets. Started again, it says what runs already.

    Examples:
    - `labelstream up`
    - `labelstream up --service annotation-ingest --service augmenter`
    - `labelstream up --set augmenter.recipe=mine.yaml --set trainer.dataset.ratios=70/15/15`
    - `labelstream up --set all.tracing.endpoint=http://127.0.0.1:4318/v1/traces`
    - `labelstream up --mlflow --observability`
    - `labelstream up --dir /tmp/trial --json`
    """
    unknown = set(service or ()) - set(NAMES)
    if unknown:
        raise typer.BadParameter(f"there is no service {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    projects = tuple(project or projects_of(directory))
    try:
        schemas = dict.fromkeys(projects, path_or_name(schema)) if schema else {}
        told = variables_of(settings or ())
    except Misconfigured as problem:
        raise failed(problem) from problem
    chosen = tuple(service or NAMES)
    options = Options(
        chosen,
        projects=projects,
        schemas=schemas,
        told=told,
        mlflow=mlflow,
        observability=observability,
        within_s=within,
    )
    before = requested_before(directory)
    try:
        stack = up_with_progress(directory, options, quiet=as_json)
    except StartFailed as problem:
        raise failed(problem) from problem
    if as_json:
        typer.echo(json.dumps({"was_running": stack.was_running, **_addresses(stack)}))
        return
    typer.echo("It runs already." if stack.was_running else "Everything answers.")
    for name, url in _addresses(stack).items():
        typer.echo(f"  {name:18} {url}")
    if left_out := [name for name in before if name not in stack.record.on_request]:
        again = " ".join(ON_REQUEST[name] for name in left_out)
        typer.echo(f"Without {', '.join(left_out)} this time: `labelstream down`, then `labelstream up {again}`.")
    typer.echo("`labelstream status` shows what it does, `labelstream down` stops it.")


def path_or_name(schema: str) -> str:
    """Return a class schema as the services find it. Raises Misconfigured, before anything is started or remembered."""
    load_named_schema(schema)
    return schema if schema in names() else str(Path(schema).resolve())


def _down(directory: Directory = DEFAULT, as_json: Json = False) -> None:
    """Stop everything that belongs to the stack; its data stay.

    Examples:
    - `labelstream down`
    - `labelstream down --dir /tmp/trial`
    """
    count = down(directory)
    if as_json:
        typer.echo(json.dumps({"stopped": count}))
    else:
        typer.echo(f"Stopped {count} processes." if count else "Nothing was running.")


def _url(
    service: Annotated[str, typer.Argument(help=f"One of: {', '.join(ANSWERING)}.")],
    directory: Directory = DEFAULT,
) -> None:
    """Print where a service of the stack answers HTTP, or a server that was asked for.

    Examples:
    - `curl -s "$(labelstream url inference)/v1/models"`
    """
    if service not in ANSWERING:
        raise typer.BadParameter(f"there is no service {service}; there are {', '.join(ANSWERING)}")
    try:
        stack = load(directory)
        if service in ON_REQUEST and service not in stack.record.on_request:
            raise StartFailed(f"the stack was started without {service}: `labelstream up {ON_REQUEST[service]}`")
        typer.echo(stack.url(service))
    except StartFailed as problem:
        raise failed(problem) from problem


def up_with_progress(directory: Path, options: Options, *, quiet: bool = False) -> Stack:
    """Start a stack and show which program is awaited for how long. Raises StartFailed."""
    columns = (SpinnerColumn(finished_text="✓"), TextColumn("{task.description:18}"), TimeElapsedColumn())
    with Progress(*columns, console=ERRORS, disable=quiet) as bars:
        tasks: dict[str, TaskID] = {}

        def tell(what: str, state: str) -> None:
            if state == "starting":
                tasks[what] = bars.add_task(what, total=1)
            else:
                bars.update(tasks[what], completed=1)

        return up(directory, options, tell)


def _addresses(stack: Stack) -> dict[str, str]:
    broker = {"broker (streams)": f"{stack.broker.host}:{stack.broker.stream_port}"}
    answering = (*stack.services, *stack.record.on_request)
    return {**broker, "object store": stack.store.endpoint_url, **{name: stack.url(name) for name in answering}}
