"""labelstream schema: what the class ids of a project mean."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from labelstream.blobs.s3 import S3Blobs
from labelstream.classes import ClassSchema, load_schema
from labelstream.events.annotation import AnnotationSettled
from labelstream.producer import Producer
from labelstream.schemas.recorded import recorded_schema
from labelstream.service.health import Health
from labelstream_cli.reaching import one_at_a_time
from labelstream_cli.running import Directory, Json, Project, run, stack_with
from labelstream_cli.schema_changing import PATIENCE_S, as_next, publish_schema, with_classes
from labelstream_local.layout import DEFAULT
from labelstream_local.rights import input_stream
from labelstream_local.stack import Stack

_NAME = "labelstream-schema"

Stream = Annotated[str | None, typer.Option(help="The input stream to send it on; default: the project's own.")]
Change = Callable[[ClassSchema], ClassSchema]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="The classes of a project; classes are only ever added.")
    group.command("show")(_show)
    group.command("add")(_add)
    group.command("set")(_set)
    app.add_typer(group, name="schema")


def _show(project: Project = "default", directory: Directory = DEFAULT, as_json: Json = False) -> None:
    """Show the classes of a project, by id.

    Examples:
    - `labelstream schema show`
    - `labelstream schema show --project harbour --json | jq .classes`
    """
    _print(run(_recorded(directory, project)), as_json=as_json)


def _add(
    names: Annotated[list[str], typer.Argument(help="Names of new classes, in the order of their ids.")],
    project: Project = "default",
    stream: Stream = None,
    directory: Directory = DEFAULT,
    as_json: Json = False,
) -> None:
    """Add classes at the end of a project's schema.

    What was refused because of an unknown class can then be brought again: `labelstream parked replay --rule
    class.unknown`.

    Examples:
    - `labelstream schema add lorry "fire engine"`
    """
    change = run(_change(directory, project, stream, lambda now: with_classes(now, names)))
    _tell(*change, as_json=as_json)


def _set(
    file: Annotated[Path, typer.Argument(help='JSON: {"name": "roads", "classes": ["car", …]}')],
    project: Project = "default",
    stream: Stream = None,
    directory: Directory = DEFAULT,
    as_json: Json = False,
) -> None:
    """Extend a project's schema to the one in a file, which begins with the classes that are there.

    Examples:
    - `labelstream schema set classes.json`
    """

    def extended(now: ClassSchema) -> ClassSchema:
        return as_next(now, load_schema(file))

    _tell(*run(_change(directory, project, stream, extended)), as_json=as_json)


async def _recorded(directory: Path, project: str) -> ClassSchema:
    return await _schema_of(stack_with(directory, project), project)


async def _schema_of(stack: Stack, project: str) -> ClassSchema:
    blobs = S3Blobs(stack.store, stack.store.data_bucket, Health())
    try:
        return await recorded_schema(blobs, project)
    finally:
        await blobs.close()


async def _change(
    directory: Path, project: str, stream: str | None, change: Change
) -> tuple[ClassSchema, ClassSchema, AnnotationSettled | None]:
    """Return the schema before and after a change, and its receipt; None when there was nothing to change."""
    stack = stack_with(directory, project)
    now = await _schema_of(stack, project)
    wanted = change(now)
    if wanted.classes == now.classes:
        return now, now, None
    to = stream or input_stream(project)
    with one_at_a_time(stack.broker, f"changing the classes on {to}"):
        async with Producer.connect(stack.broker, to, _NAME, timeout_s=PATIENCE_S) as producer:
            receipt = await publish_schema(producer, wanted)
    return now, receipt.class_schema or wanted, receipt


def _tell(before: ClassSchema, after: ClassSchema, receipt: AnnotationSettled | None, *, as_json: bool) -> None:
    added = after.classes[len(before.classes) :]
    _print(after, as_json=as_json, added=added, receipt=receipt)
    if not as_json:
        number = "1 class" if len(added) == 1 else f"{len(added)} classes"
        typer.echo(f"{number} added" if added else "nothing to add: it has these classes already")


def _print(
    schema: ClassSchema, *, as_json: bool, added: tuple[str, ...] = (), receipt: AnnotationSettled | None = None
) -> None:
    if as_json:
        outcomes = [one.outcome for one in receipt.outcomes] if receipt else []
        said = {"digest": schema.digest, "added": list(added), "outcomes": outcomes}
        typer.echo(json.dumps({**schema.model_dump(), **said}))
        return
    table = Table("id", "class", "", box=None, padding=(0, 2, 0, 0), title_justify="left")
    for number, name in enumerate(schema.classes):
        table.add_row(str(number), escape(name), "[green]new[/]" if name in added else "")
    console = Console(highlight=False)
    console.print(f"{schema.name}, version {schema.version}", markup=False)
    console.print(table)
