"""Waiting for the end of a training, and showing how it goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from labelstream.trainings import JobState
from labelstream_cli.datasets.words import count
from labelstream_cli.jobs.book import Live
from labelstream_cli.jobs.facts import epochs_planned, left_s, reached, reason
from labelstream_cli.jobs.list_view import left_in_words
from labelstream_cli.jobs.words import SHORT
from labelstream_cli.running import ERRORS, CommandFailed

Show = Callable[[str, JobState | None], None]  # what is going on, and the job where there is one
_JOB_WITHIN_S = 30.0  # from the trainer's answer to its event


async def wait_for_end(live: Live, job: str, show: Show, wait_s: float = 1.0) -> JobState:
    """Return the job once it has ended. Raises CommandFailed when the stream does not know it."""
    deadline = asyncio.get_running_loop().time() + _JOB_WITHIN_S
    while True:
        state = live.book.jobs.get(job)
        if state is None and asyncio.get_running_loop().time() > deadline:
            raise CommandFailed(
                f"the trainer named the job {job[:SHORT]}, but its stream does not: `labelstream status`"
            )
        if state is not None and state.ended is not None:
            return state
        away = ", ".join(live.place.health.report()["waiting"])
        show(f"waits for the {away}" if away else going_on(state), state)
        await live.more(wait_s)


def going_on(state: JobState | None) -> str:
    """Say in a few words what a job is doing."""
    if state is None or not state.attempts:
        return "waits for a free worker"
    best, left = reached(state), left_s(state)
    if best is None or left is None:
        return f"{state.worker} prepares"
    return f"mAP50 {best.map50:.3f}, {left_in_words(state, left)}"


def ending(state: JobState) -> str:
    """Say in one line how a job ended."""
    best = reached(state)
    good = f", mAP50 {best.map50:.3f} on {'test' if best.on == 'test' else 'validation'}" if best else ""
    said = f": {reason(state)}" if reason(state) else ""
    return f"training {state.job[:SHORT]} is {state.state} after {count(state.epochs_told, 'epoch')}{good}{said}"


@contextmanager
def shown(*, quiet: bool, lines: bool = True) -> Iterator[Show]:
    """Show how a training goes: a bar on a terminal, elsewhere `lines`, one for each epoch; nothing when `quiet`."""
    if quiet or not ERRORS.is_terminal:
        yield _Lines(quiet=quiet or not lines)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[now]}"))
    with Progress(*columns, console=ERRORS, transient=True) as progress:
        task = progress.add_task("training", total=None, now="")

        def show(what: str, state: JobState | None) -> None:
            total = epochs_planned(state) if state else None
            progress.update(task, completed=state.epochs_told if state else 0, total=total, now=what)

        yield show


class _Lines:
    """Says each thing once, in lines; of a training, each epoch."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._said: object = None

    def __call__(self, what: str, state: JobState | None) -> None:
        epoch = state.epochs_told if state else 0
        key: object = epoch or what
        if not self._quiet and key != self._said:
            text = f"epoch {epoch} of {epochs_planned(state)}: {what}" if state and epoch else what
            ERRORS.print(text, markup=False, soft_wrap=True)
        self._said = key


@asynccontextmanager
async def leaving_it(said: Callable[[], str]) -> AsyncIterator[None]:
    """Say that the training goes on when somebody interrupts the waiting."""
    try:
        yield
    except asyncio.CancelledError:
        ERRORS.print(said(), markup=False, soft_wrap=True)
        raise
