"""How `labelstream status` looks on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from labelstream_cli.figures_view import lines, queues_table, stages_table
from labelstream_cli.jobs.words import duration
from labelstream_cli.training_view import next_trainings, trainings_table
from labelstream_local.figures import Figures
from labelstream_local.services import ON_REQUEST
from labelstream_local.status import Lag, Program, Progress, Status, Stream

NONE = "none yet"


def show(status: Status, console: Console) -> None:
    """Print a status as tables."""
    if status.directory:
        state = "runs" if status.running else "is down (`labelstream up` starts it)"
        console.print(f"The stack in {status.directory} {state}", highlight=False)
    console.print(_programs(status.programs))
    if status.streams:
        console.print(_streams(status.streams))
    if status.lags:
        console.print(_lags(status.lags))
    if status.progress:
        console.print(_progress(status.progress))
    if status.trainings:
        console.print(trainings_table(status.trainings))
    if status.figures is not None:
        _show_figures(status.figures, console)
    for line in (*facts(status), *next_training(status)):
        console.print(line, highlight=False, markup=False)


def facts(status: Status, digits: int | None = None) -> Iterator[str]:
    """Give a line for the newest dataset, and one for each model that serves; `digits` of ids are shown, or all."""
    answers = _answering(status)
    for title, said, teller in (
        ("dataset", [_dataset(status.dataset, digits)], "trainer"),
        ("model", _models(status.model, digits), "inference"),
    ):
        for line in said if teller in answers else [f"not known: {teller} does not answer"]:
            yield f"{title:8} {line}"


def next_training(status: Status) -> Iterator[str]:
    """Give a line for each project: what its next training waits for."""
    yield from next_trainings(status.next_training, known="trainer" in _answering(status))


def _answering(status: Status) -> set[str]:
    """Return the kinds of programs of which one answers."""
    programs = {stage.name: stage.program for stage in status.figures.stages} if status.figures else {}
    return {programs.get(one.name, one.name) for one in status.programs if one.ready is not None}


def _show_figures(figures: Figures, console: Console) -> None:
    stages = [stage for stage in figures.stages if stage.ready is not None]
    if stages:
        console.print(stages_table(stages, width=console.width))
    if figures.queues:
        console.print(queues_table(figures.queues))
    for line in lines(figures):
        console.print(line, highlight=False)


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
    looks = [f"{what}: {why}" for what, why in program.degraded.items()]
    address = [program.url] if program.url and program.name in ON_REQUEST else []  # for people to open
    return address + waits + looks


def _streams(streams: tuple[Stream, ...]) -> Table:
    table = Table("stream", "last offset", "", box=None, padding=(0, 2, 0, 0))
    for stream in streams:
        last = "-" if stream.last_offset is None else str(stream.last_offset)
        table.add_row(stream.name, last, stream.problem or ("empty" if stream.last_offset is None else ""))
    return table


def _lags(lags: tuple[Lag, ...]) -> Table:
    table = Table("reader", "stream", "handled", "behind by at most", "for", box=None, padding=(0, 2, 0, 0))
    for lag in lags:
        handled = "-" if lag.offset is None or lag.offset < 0 else str(lag.offset)
        behind = "?" if lag.behind is None else str(lag.behind)
        table.add_row(lag.service, lag.stream, handled, behind, "" if lag.seconds is None else duration(lag.seconds))
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


def _dataset(fact: object, digits: int | None) -> str:
    if not isinstance(fact, Mapping) or "id" not in fact:
        return NONE
    samples = ", ".join(f"{count} {split}" for split, count in fact.get("samples", {}).items())
    return f"{str(fact['id'])[:digits]} of {fact.get('project', '?')}: {samples}"


def _models(fact: object, digits: int | None) -> list[str]:
    if not isinstance(fact, Mapping) or not fact:
        return [NONE]
    return [f"{project}: {_model(model, digits)}" for project, model in fact.items()]


def _model(model: object, digits: int | None) -> str:
    """Tell what serves, of what inference says of it; other versions may say less."""
    if not isinstance(model, Mapping) or "model" not in model:
        return NONE
    told = [str(model["model"])[:digits]]
    told += [f"as {model['artifact']} by {model.get('backend', '?')}"] if "artifact" in model else []
    told += [f"promotion {model['promotion']}"] if "promotion" in model else []
    told += [f"dataset {str(model['dataset'])[:digits]}"] if "dataset" in model else []
    told += ["on probation"] if model.get("on_probation") else []
    return ", ".join(told)
