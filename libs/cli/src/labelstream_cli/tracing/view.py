"""How `labelstream trace` looks on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from labelstream_cli.parked.reading import at
from labelstream_cli.tracing import Life, Step
from labelstream_cli.tracing.life import Tone

_STYLE: Mapping[Tone, str] = {"good": "green", "bad": "red", "note": "yellow"}


def show_life(life: Life, console: Console) -> None:
    """Print an annotation as it stands now, and what led to that."""
    console.print(f"[bold]{escape(life.name)}[/]  {escape(_standing(life))}", highlight=False)
    if life.annotation is not None:
        image = life.annotation.image
        gone = " (removed)" if life.state == "erased" else ""
        console.print(f"image   {image.key}{gone}", highlight=False, markup=False, soft_wrap=True)
        console.print(f"medium  {life.annotation.medium}", highlight=False, markup=False)
    console.print(_timeline(life))
    for line in _ending(life):
        console.print(line, highlight=False, markup=False)


def _standing(life: Life) -> str:
    revision = f", revision {life.revision}" if life.revision is not None else ""
    validated = ", validated" if life.validated else ""
    return f"project {life.project}: {life.state}{revision}{validated}"


def _timeline(life: Life) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    day = ""
    for step, times in _together(life.steps):
        when = at(step.time_ms)
        if f"{when:%Y-%m-%d}" != day:
            day = f"{when:%Y-%m-%d}"
            table.add_row(f"[bold]{day}[/]")
        table.add_row(f"{when:%H:%M:%S}", step.stage, _told(step, times))
    return table


def _together(steps: Iterable[Step]) -> Iterator[tuple[Step, int]]:
    """Yield each step with how often the same is said one after another."""
    for _, alike in groupby(steps, key=lambda step: (step.stage, step.what, step.details)):
        first, *others = alike
        yield first, 1 + len(others)


def _told(step: Step, times: int) -> str:
    often = f" ({times} times)" if times > 1 else ""
    what = f"[{_STYLE[step.tone]}]{escape(step.what)}[/]{often}"
    return "\n".join([what, *(f"[dim]{escape(line)}[/]" for line in step.details if line)])


def _ending(life: Life) -> list[str]:
    lines = []
    if life.contents:
        lines.append(f"in {_count(life.datasets, 'dataset')} and {_count(life.models, 'model')}{_serving(life)}")
    for dataset, told in life.built.items():
        lines.append(f"  dataset {dataset[:12]}: {told}; nothing was trained on it")
    if life.not_searched:
        lines.append(f"{life.not_searched} older datasets were not looked into: --datasets looks into more")
    if life.unreadable:
        lines.append(f"the files of {len(life.unreadable)} datasets are gone: nobody can say whether they held it")
    if life.malformed:
        lines.append(f"{life.malformed} events that may name it could not be read")
    return lines


def _count(things: Sequence[str], noun: str) -> str:
    return f"{len(things) or 'no'} {noun}{'' if len(things) == 1 else 's'}"


def _serving(life: Life) -> str:
    if not life.in_service:
        return "; none of them is in service" if life.models else ""
    return "".join(f"; model {model[:12]} is in service ({', '.join(on)})" for model, on in life.in_service.items())
