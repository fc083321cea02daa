"""How the stages' figures look on a terminal: rates, errors, lags, queues, answers, drift."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table

from labelstream_cli.jobs.words import SHORT, duration
from labelstream_local.figures import Answers, Drift, Figures, Queue, Stage

UNKNOWN = "-"
LATE_S = 60  # from here on a lag catches the eye
MOVED = 0.25  # as the alert has it
ROOMY = 100  # characters; on a narrower terminal the least important columns are left out


def stages_table(stages: Sequence[Stage], *, width: int = ROOMY) -> Table:
    """Return a line for each program: what it does, how fast, and how far it is behind."""
    is_roomy = width >= ROOMY
    table = Table(box=None, padding=(0, 2 if is_roomy else 1, 0, 0))
    for heading in ("stage", "ready"):
        table.add_column(heading, no_wrap=True)
    for heading in ("rate", *(["since start"] if is_roomy else []), "errors", "behind", "for"):
        table.add_column(heading, justify="right", no_wrap=True)
    for stage in stages:
        table.add_row(
            escape(stage.name),
            _ready(stage.ready),
            UNKNOWN if stage.per_s is None else f"{_number(stage.per_s)} {stage.unit}/s",
            *([_count(stage.done)] if is_roomy else []),
            f"[red]{_count(stage.errors)}[/red]" if stage.errors else _count(stage.errors),
            _count(stage.lag_messages),
            _late(stage.lag_seconds),
        )
    return table


def looks(figures: Figures) -> Iterator[str]:
    """Give a line for all that somebody is waited for, that needs a look, and that is late."""
    for stage in figures.stages:
        yield from (f"[yellow]{escape(f'{stage.name}: {look}')}[/yellow]" for look in stage.looks)
    for lag in figures.lags:
        if lag.seconds is not None and lag.seconds >= LATE_S:
            behind = f"{lag.messages:,.0f} messages of {lag.stream} wait, the oldest for {duration(lag.seconds)}"
            yield f"[yellow]{escape(f'{lag.name}: {behind}')}[/yellow]"


def queues_table(queues: Sequence[Queue]) -> Table:
    """Return a line for each queue of jobs."""
    table = Table("jobs", box=None, padding=(0, 2, 0, 0))
    for heading in ("waiting", "running", "done", "failed"):
        table.add_column(heading, justify="right")
    for one in queues:
        figures = (one.waiting, one.running, one.done, one.failed)
        table.add_row(escape(one.queue.removeprefix("jobs.")), *map(_count, figures))
    return table


def is_used(queue: Queue) -> bool:
    """Whether a queue has had anything to do since its workers started."""
    return any((queue.waiting, queue.running, queue.done, queue.failed))


def progress_table(trainings: Sequence[Mapping[str, Any]], *, width: int = ROOMY) -> Table:
    """Return a bar for each training under way; each is what the trainer's fact says of it."""
    is_roomy = width >= ROOMY
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for _ in range(5):
        table.add_column(no_wrap=True)
    for one in trainings:
        epoch, epochs = one.get("epoch") or 0, one.get("epochs") or 0
        map50, left = one.get("map50"), one.get("eta_s")
        table.add_row(
            f"training {escape(str(one['job'])[:SHORT])}" + (f" of {escape(str(one['project']))}" if is_roomy else ""),
            ProgressBar(total=max(1, epochs), completed=epoch, width=24 if is_roomy else 8),
            f"{epoch} of {epochs or '?'} epochs",
            "" if map50 is None else f"mAP50 {map50:.3f}",
            escape(str(one["state"])) if left is None else f"{duration(left)} left",
        )
    return table


def lines(figures: Figures) -> Iterator[str]:
    """Give a line for what inference does, for drift, and for the time from label to live."""
    if figures.answers is not None:
        yield f"inference     {', '.join(_answers(figures.answers))}"
    if figures.drift:
        yield f"drift         {', '.join(map(_drift, figures.drift))}"
    if figures.label_to_live_s:
        said = (f"{escape(project)} {duration(seconds)}" for project, seconds in figures.label_to_live_s.items())
        yield f"label to live {', '.join(said)}, at the last promotion"


def _answers(answers: Answers) -> Iterator[str]:
    if answers.per_s is not None:
        yield f"{_number(answers.per_s)} requests/s"
    if answers.p50_s is not None and answers.p99_s is not None:
        yield f"p50 {_milliseconds(answers.p50_s)}, p99 {_milliseconds(answers.p99_s)}"
    else:
        yield "no predictions asked for"
    if answers.waiting is not None:
        yield f"queue {_count(answers.waiting)} of {_count(answers.limit)}"
    if answers.batch is not None:
        yield f"{answers.batch:.1f} images a run"


def _drift(one: Drift) -> str:
    said = f"{escape(one.project)} {one.kind} {one.distance:.2f}"
    return f"[yellow]{said}[/yellow]" if one.distance > MOVED else said


def _ready(ready: bool | None) -> str:
    if ready is None:
        return "[red]no answer[/red]"
    return "[green]yes[/green]" if ready else "[yellow]not yet[/yellow]"


def _late(seconds: float | None) -> str:
    if seconds is None:
        return UNKNOWN
    return f"[yellow]{duration(seconds)}[/yellow]" if seconds >= LATE_S else duration(seconds)


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 10 else f"{seconds:.0f} s"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 or value == 0 else f"{value:.2g}"


def _count(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:,.0f}"
