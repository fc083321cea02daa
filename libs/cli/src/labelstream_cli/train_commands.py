"""labelstream train: a training of what is annotated so far, or on a dataset that was built by hand."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer

from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.jobs.rabbitmq import RabbitJobQueue
from labelstream.service.health import Health
from labelstream.service.settings import BrokerSettings
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream_cli.asking_to_train import Asked, ask_for_training, ask_for_training_on
from labelstream_cli.datasets.catalogue import Stored, chosen
from labelstream_cli.datasets.place import Place, Where, at_place
from labelstream_cli.datasets.reading import require_project
from labelstream_cli.datasets.words import SHORT
from labelstream_cli.running import CommandFailed, Directory, Json, Project, run, stack_with
from labelstream_local.layout import DEFAULT
from labelstream_local.stack import Stack

_NAME = "labelstream train"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train")(_train)


def _train(
    project: Project = "default",
    at: Annotated[
        int | None, typer.Option(min=0, help="Up to this offset of annotation-events; default: all that is there.")
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(metavar="ID", help="On this dataset as it is, by at least 4 digits of its id."),
    ] = None,
    directory: Directory = DEFAULT,
    as_json: Json = False,
) -> None:
    """Ask for a training of what is annotated so far.

    The trainer builds the dataset as it was at that point of the stream, or takes one that `labelstream dataset build`
    made. Asking twice for the same data trains once. `labelstream status` shows how it goes.

    Examples:
    - `labelstream train`
    - `labelstream train --project harbour --at 5120`
    - `labelstream train --dataset 3fa9`
    """
    if at is not None and dataset is not None:
        raise typer.BadParameter("a dataset was built at an offset already: give --at or --dataset")
    asked = run(_work(directory, project, at)) if dataset is None else _on_dataset(directory, project, dataset)
    if as_json:
        typer.echo(json.dumps(vars(asked)))
    elif asked.dataset is None:
        typer.echo(f"Asked for a training of {asked.project} up to offset {asked.cut} of {ANNOTATION_EVENTS}.")
    else:
        typer.echo(f"Asked for a training of {asked.project} on the dataset {asked.dataset[:SHORT]}.")


async def _work(directory: Path, project: str, at: int | None) -> Asked:
    stack = stack_with(directory, project)
    cut = await _end(stack) if at is None else at
    async with _queue(stack.broker) as queue:
        return await ask_for_training(queue, project, cut)


def _on_dataset(directory: Path, project: str, prefix: str) -> Asked:
    async def found(place: Place) -> Stored:
        await require_project(place)
        return await chosen(place, prefix)

    stored = at_place(Where(directory, project), found)

    async def ask() -> Asked:
        async with _queue(stack_with(directory, project).broker) as queue:
            cut = stored.description.cut.offset
            return await ask_for_training_on(queue, project, stored.id, cut, stored.file)

    return run(ask())


@asynccontextmanager
async def _queue(broker: BrokerSettings) -> AsyncIterator[RabbitJobQueue]:
    queue = RabbitJobQueue(broker, Health(), _NAME)
    try:
        yield queue
    finally:
        await queue.close()


async def _end(stack: Stack) -> int:
    broker = RabbitBroker(stack.broker, Health(), _NAME)
    try:
        end = await broker.last_offset(ANNOTATION_EVENTS)
    finally:
        await broker.close()
    if end is None:
        raise CommandFailed("nothing is annotated yet: `labelstream push FOLDER` publishes annotations")
    return end
