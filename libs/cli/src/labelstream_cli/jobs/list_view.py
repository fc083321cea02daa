"""How a list of jobs looks on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import shorten

from rich.console import Console
from rich.markup import escape

from labelstream.events.training import TrainingFailed
from labelstream.trainings import JobState, State
from labelstream_cli.datasets.tables import plain_table
from labelstream_cli.jobs.facts import epochs_planned, left_s, reached, reason, took_s
from labelstream_cli.jobs.words import SHORT, duration, moment

STYLES: Mapping[State, str] = {
    "requested": "yellow",
    "started": "cyan",
    "finished": "green",
    "failed": "red",
    "cancelled": "dim",
}
_NOTE = 50  # characters of a reason
_WIDE = 100  # characters: there is room for reasons
_COLUMNS = ("job", "project", "state", "epoch", "mAP50", "time", "worker", "asked")


def show_jobs(jobs: Sequence[JobState], console: Console, more: int = 0) -> None:
    """Print jobs, one a line; `more` are not shown."""
    is_wide = console.width >= _WIDE
    table = plain_table(*_COLUMNS, *([""] if is_wide else []), right=frozenset({"epoch"}))
    table.padding = (0, 2 if is_wide else 1, 0, 0)
    for column in table.columns[: len(_COLUMNS)]:
        column.no_wrap = True
    for state in jobs:
        table.add_row(*_cells(state), *([_note(state)] if is_wide else []))
    console.print(table)
    if more:
        console.print(f"[dim]and {more:,} older: --limit shows more[/]")


def _cells(state: JobState) -> tuple[str, ...]:
    begun = (state.job[:SHORT], state.project)
    styled = f"[{STYLES[state.state]}]{state.state}[/]"
    going = (_epoch(state), _map50(state), _time(state), state.worker or "-")
    return *map(escape, begun), styled, *map(escape, going), moment(state.requested_ms)


def left_in_words(state: JobState, left: float) -> str:
    """Tell how long a job still takes; `left` as its last epoch foresaw it."""
    if state.epochs_told == epochs_planned(state):
        return "evaluates"
    return f"{duration(left)} left" if left else "overdue"


def _epoch(state: JobState) -> str:
    planned = epochs_planned(state)
    return f"{state.epochs_told}/{planned}" if planned else f"{state.epochs_told or '-'}"


def _map50(state: JobState) -> str:
    best = reached(state)
    return f"{best.map50:.3f} {best.on}" if best else "-"


def _time(state: JobState) -> str:
    left, took = left_s(state), took_s(state)
    if left is not None:
        return left_in_words(state, left)
    return duration(took) if took is not None else "-"


def _note(state: JobState) -> str:
    said = state.ended.rule if isinstance(state.ended, TrainingFailed) else shorten(reason(state), _NOTE)
    return f"[dim]{escape(said)}[/]"
