"""labelstream gc: removes images and archives that nothing refers to."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.filesize import decimal

from labelstream.blobs.ports import Blobs
from labelstream.blobs.s3 import S3Blobs
from labelstream.service.health import Health
from labelstream.streams.ports import Broker
from labelstream_cli.gc import view
from labelstream_cli.gc.ages import parse_age
from labelstream_cli.gc.survey import Rules, Survey, Surveyed
from labelstream_cli.gc.sweeping import Swept, sweep
from labelstream_cli.gc.view import count, lines, show, show_swept
from labelstream_cli.reaching import bars, broker_at
from labelstream_cli.running import Directory, Json, failed, run, running_stack, stack_with
from labelstream_local.layout import DEFAULT

_NAME = "labelstream-gc"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("gc")(_gc)


def _gc(
    project: Annotated[str | None, typer.Option(help="Only this project; default: every one of the stack.")] = None,
    older_than: Annotated[
        str, typer.Option(help="Only what was not written for so long: s, m, h, d or w, such as 12h.")
    ] = "7d",
    keep_models: Annotated[
        int | None,
        typer.Option(
            min=0, help="Keep the datasets of so many of the newest models, and of the promoted one; default: of all."
        ),
    ] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Remove it. Without this nothing is removed.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    to_file: Annotated[
        Path | None, typer.Option("--list", help="Write every key that would go into this file.", dir_okay=False)
    ] = None,
    directory: Directory = DEFAULT,
    as_json: Json = False,
) -> None:
    """Remove images and archives that nothing kept refers to. Begins as a dry run: --delete removes.

    Stays: every image that a receipt names and nobody erased; every archive of the recipe in use; and of older
    recipes every archive that a kept dataset needs. A dataset is kept while a model of it is not withdrawn, while a
    training on it is not over, while somebody keeps it by hand, and while it is new. In doubt nothing is removed.

    Examples:
    - `labelstream gc` says what would go, and why
    - `labelstream gc --list would-go.tsv` writes down every key
    - `labelstream gc --older-than 30d --keep-models 5 --delete`
    - `labelstream gc --delete --yes --json | jq '.projects[].removed.size_bytes'`
    """
    if as_json and delete and not yes:
        raise typer.BadParameter("--json asks nothing: add --yes to remove, or leave --delete out to look")
    try:
        rules = Rules(parse_age(older_than), keep_models)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--older-than") from error
    survey, found = run(_look(directory, project, rules, quiet=as_json))
    if to_file is not None:
        _write(to_file, found)
    console = Console(highlight=False)
    if not as_json:
        for one in found:
            show(one, rules, console)
    swept = _delete(directory, survey, found, yes=yes, quiet=as_json) if delete else {}
    _tell_end(console, rules, found, swept, delete=delete, as_machine=as_json)
    if any(one.plan.doubts for one in found):
        raise typer.Exit(1)


@dataclass(frozen=True)
class _Place:
    projects: tuple[str, ...]
    broker: Broker
    blobs: Blobs


@asynccontextmanager
async def _at(directory: Path, project: str | None) -> AsyncIterator[_Place]:
    stack = running_stack(directory) if project is None else stack_with(directory, project)
    blobs = S3Blobs(stack.store, stack.store.data_bucket, Health())
    try:
        async with broker_at(stack.broker, _NAME) as broker:
            yield _Place(stack.record.projects if project is None else (project,), broker, blobs)
    finally:
        await blobs.close()


async def _look(directory: Path, project: str | None, rules: Rules, *, quiet: bool) -> tuple[Survey, list[Surveyed]]:
    async with _at(directory, project) as place:
        with bars(quiet=quiet) as tell:
            survey = Survey(place.broker, place.blobs, place.projects, rules, tell)
            return survey, await survey.look()


def _delete(directory: Path, survey: Survey, found: list[Surveyed], *, yes: bool, quiet: bool) -> dict[str, Swept]:
    """Remove what was found, once somebody says yes."""
    objects = sum(len(one.plan.candidates) for one in found)
    if not objects:
        return {}
    if not yes:
        freed = decimal(sum(one.plan.size_bytes for one in found))
        typer.confirm(f"Remove {count(objects, 'object')} ({freed})? This can't be undone", abort=True)
    return run(_sweep(directory, survey, found, quiet=quiet))


async def _sweep(directory: Path, survey: Survey, found: list[Surveyed], *, quiet: bool) -> dict[str, Swept]:
    async with _at(directory, None) as place:  # the streams are read on from where the look ended
        with bars(quiet=quiet) as tell:
            survey.attach(place.broker, place.blobs, tell)
            return {one.plan.project: await sweep(survey, one.plan, tell) for one in found if one.plan.candidates}


def _tell_end(
    console: Console, rules: Rules, found: list[Surveyed], swept: dict[str, Swept], *, delete: bool, as_machine: bool
) -> None:
    if as_machine:
        projects = [view.as_json(one, swept.get(one.plan.project)) for one in found]
        told = {"deleted": delete, "older_than_s": int(rules.grace.total_seconds()), "projects": projects}
        typer.echo(json.dumps(told))
        return
    for one in swept.values():
        show_swept(one, console)
    if not delete:
        objects = sum(len(one.plan.candidates) for one in found)
        more = f": --delete removes {count(objects, 'object')}" if objects else ""
        console.print(f"Nothing was removed, this was a dry run{more}.")


def _write(path: Path, found: list[Surveyed]) -> None:
    try:
        with path.open("w", encoding="utf-8") as file:
            file.writelines(lines(found))
    except OSError as error:
        raise failed(f"the list can't be written to {path}: {error.strerror}") from error
