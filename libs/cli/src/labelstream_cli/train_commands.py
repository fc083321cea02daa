"""labelstream train: a training of what is annotated so far."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.jobs.rabbitmq import RabbitJobQueue
from labelstream.service.health import Health
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream_cli.asking_to_train import Asked, ask_for_training
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
    directory: Directory = DEFAULT,
    as_json: Json = False,
) -> None:
    """Ask for a training of what is annotated so far.

    The trainer builds the dataset as it was at that point of the stream. Asking twice for the same data trains
    once. `labelstream status` shows how it goes.

    Examples:
    - `labelstream train`
    - `labelstream train --project harbour --at 5120`
    """
    asked = run(_work(directory, project, at))
    if as_json:
        typer.echo(json.dumps(vars(asked)))
    else:
        typer.echo(f"Asked for a training of {asked.project} up to offset {asked.cut} of {ANNOTATION_EVENTS}.")


async def _work(directory: Path, project: str, at: int | None) -> Asked:
    stack = stack_with(directory, project)
    cut = await _end(stack) if at is None else at
    queue = RabbitJobQueue(stack.broker, Health(), _NAME)
    try:
        return await ask_for_training(queue, project, cut)
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
