"""How `labelstream status` looks on a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from labelstream_cli.training_view import next_trainings, trainings_table
from labelstream_local.status import Lag, Program, Progress, Status, Stream


def show(status: Status, console: Console) -> None:
    """Print a status as tables."""
    state = "runs" if status.running else "is down (`labelstream up` starts it)"
    console.print(f"The stack in {status.directory} {state}", highlight=False)
    console.print(_programs(status.programs))
    console.print(_streams(status.streams))
    if status.lags:
        console.print(_lags(status.lags))
    if status.progress:
        console.print(_progress(status.progress))
    if status.trainings:
        console.print(trainings_table(status.trainings))
    answers = {program.name for program in status.programs if program.ready is not None}
    for title, fact, teller in (("dataset", status.dataset, "trainer"), ("model", status.model, "inference")):
        said = _said(fact) if teller in answers else f"not known: {teller} does not answer"
        console.print(f"{title:8} {said}", highlight=False)
    for line in next_trainings(status.next_training, known="trainer" in answers):
        console.print(line, highlight=False, markup=False)


def _programs(programs: tuple[Program, ...]) -> Table:
    table = Table("program", "state", "ready", "waits for / look at", box=None, padding=(0, 2, 0, 0))
    for program in programs:
        table.add_row(program.name, program.state.lower(), _ready(program), "\n".join(_remarks(program)))
    return table


def _ready(program: Program) -> str:
    if program.ready is None:
        return "[red]no answer[/red]"
    return "[green]yes[/green]" if program.ready else "[yellow]not yet[/yellow]"


def _remarks(program: Program) -> list[str]:
    waits = [f"{what}: {why.get('reason', '')} ({why.get('for_s', 0)} s)" for what, why in program.waiting.items()]
    return waits + [f"{what}: {why}" for what, why in program.degraded.items()]


def _streams(streams: tuple[Stream, ...]) -> Table:
    table = Table("stream", "last offset", "", box=None, padding=(0, 2, 0, 0))
    for stream in streams:
        last = "-" if stream.last_offset is None else str(stream.last_offset)
        table.add_row(stream.name, last, stream.problem or ("empty" if stream.last_offset is None else ""))
    return table


def _lags(lags: tuple[Lag, ...]) -> Table:
    table = Table("reader", "stream", "handled", "behind by at most", box=None, padding=(0, 2, 0, 0))
    for lag in lags:
        handled = "-" if lag.offset is None else str(lag.offset)
        table.add_row(lag.service, lag.stream, handled, "?" if lag.behind is None else str(lag.behind))
    return table


def _progress(progress: tuple[Progress, ...]) -> Table:
    table = Table("augmented project", "up to offset", "under way", "behind by at most", box=None, padding=(0, 2, 0, 0))
    for one in progress:
        known = one.answered_up_to is not None
        answered = str(one.answered_up_to) if known else "no batch since the augmenter started"
        batches = f"{one.batches_in_flight} {'batch' if one.batches_in_flight == 1 else 'batches'}"
        behind = "?" if one.behind is None else str(one.behind)
        table.add_row(escape(one.project), answered, batches if known else "", behind if known else "")
    return table


def _said(fact: object) -> str:
    if fact is None or fact == {}:
        return "none yet"
    if isinstance(fact, Mapping):
        return ", ".join(f"{name}: {_said(value)}" for name, value in fact.items())
    return str(fact)
