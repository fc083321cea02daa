"""What every command shares: running something asynchronous, and saying plainly what went wrong."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import structlog
import typer
from rich.console import Console

from labelstream.errors import Misconfigured, Rejected, Unavailable
from labelstream.producer import TimedOut
from labelstream_local.process import StartFailed, wait_until
from labelstream_local.stack import Stack, load

T = TypeVar("T")

ERRORS = Console(stderr=True, highlight=False)
TELLS = (Misconfigured, Rejected, StartFailed, TimedOut, Unavailable)  # their text says what to do
PATIENCE_S = 30  # with the broker of a stack that is up: it starts again within that
INTERRUPTED = 130  # as shells count Ctrl-C

Directory = Annotated[Path, typer.Option("--dir", help="Where the stack lives.", envvar="LABELSTREAM_DIR")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")]
Project = Annotated[str, typer.Option(help="The project.", envvar="LABELSTREAM_PROJECT")]


class CommandFailed(Exception):
    """The command did not get where it should; the text says why and what to look at."""


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's work; errors that explain themselves become one red line and exit code 1."""
    _quiet_logs()
    try:
        return asyncio.run(work)
    except (*TELLS, CommandFailed) as problem:
        raise failed(problem) from problem
    except KeyboardInterrupt as interrupt:
        ERRORS.print("Interrupted.", style="yellow")
        raise typer.Exit(INTERRUPTED) from interrupt


def failed(problem: object) -> typer.Exit:
    """Print what went wrong; return the exit to raise."""
    ERRORS.print(str(problem), markup=False, style="red", soft_wrap=True)
    return typer.Exit(1)


def running_stack(directory: Path) -> Stack:
    """Return the stack of a directory. Raises CommandFailed when it is not up."""
    try:
        stack = load(directory)
    except StartFailed as error:
        raise CommandFailed(str(error)) from error
    if wait_until(stack.rabbitmq.ready, lambda: bool(stack.supervisor.processes()), PATIENCE_S):
        return stack
    if stack.supervisor.processes():
        raise CommandFailed(
            f"the broker of the stack in {stack.layout.root} has not answered for {PATIENCE_S} s: "
            "`labelstream status` says what runs"
        )
    raise CommandFailed(f"the stack in {stack.layout.root} does not answer: `labelstream up` starts it")


def stack_with(directory: Path, project: str) -> Stack:
    """Return the running stack of a directory. Raises CommandFailed when it is not up or does not serve the project."""
    stack = running_stack(directory)
    if project not in stack.record.projects:
        there = stack.record.projects
        raise CommandFailed(
            f"this stack has no project {project}; it has {', '.join(there)}: "
            f"say --project {there[0]}, or LABELSTREAM_PROJECT={there[0]} for all that take a project"
        )
    return stack


def _quiet_logs() -> None:
    """Let only warnings of the libraries through, on standard error."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # whatever that is at the time
    )
    logging.getLogger().setLevel(logging.WARNING)
