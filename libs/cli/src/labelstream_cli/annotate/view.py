"""What is told of jobs of annotating."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from labelstream.annotating import Failed, Ranked
from labelstream.annotating import Progress as Told
from labelstream.errors import Misconfigured
from labelstream_cli.annotate.following import Images, Standing
from labelstream_cli.datasets.tables import plain_table
from labelstream_cli.datasets.words import count
from labelstream_cli.jobs.words import SHORT, duration, moment
from labelstream_cli.running import ERRORS

MOST_SHOWN = 15  # of a ranking, and of what came to nothing
_COLUMNS = ("place", "score", "unsure", "boxes", "file", "annotation")


class Show(Protocol):
    """Tells how a job goes."""

    def __call__(self, now: Standing) -> None:
        """Tell it."""
        ...


@contextmanager
def going(*, quiet: bool) -> Iterator[Show]:
    """Show how a job goes: a bar on a terminal, elsewhere a line for each tenth; nothing when `quiet`."""
    if quiet or not ERRORS.is_terminal:
        yield _Lines(quiet=quiet)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[pace]}"))
    with Progress(*columns, console=ERRORS, transient=True) as progress:
        task = progress.add_task("waits for a worker", total=None, pace="")

        def show(now: Standing) -> None:
            known = now.known
            if known is not None:
                what, done = _doing(now, known)
                progress.update(task, description=what, completed=done, total=known.total, pace=pace(known, done))

        yield show


@contextmanager
def uploading(*, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show how far images are on their way into the store."""
    if quiet or not ERRORS.is_terminal:
        yield lambda _done, _of: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=ERRORS, transient=True) as progress:
        task = progress.add_task("into the store", total=None)
        yield lambda done, of: progress.update(task, completed=done, total=of)


class _Lines:
    """Says in lines how a job goes."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._said: object = None

    def __call__(self, now: Standing) -> None:
        known = now.known
        what, done = ("waits for a worker", 0) if known is None else _doing(now, known)
        total = known.total if known else 0
        key = (what, done * 10 // max(total, 1))
        if not self._quiet and key != self._said:
            ERRORS.print(f"{what} {done} of {total}" if known else what, markup=False, soft_wrap=True)
        self._said = key


def _doing(now: Standing, known: Told) -> tuple[str, int]:
    if now.request.order == "uncertain" and known.predicted < known.total:
        return "looks at", known.predicted
    return "publishes", known.published + sum(known.failed.values()) + known.repeated


def pace(known: Told, done: int) -> str:
    """Tell how fast it goes, and when it is over at that pace."""
    if not done or not known.seconds:
        return ""
    rate = done / known.seconds
    left = duration((known.total - done) / rate)
    return f"{rate:.1f} images/s, {left} left" if done < known.total else f"{rate:.1f} images/s"


def tell(now: Standing, images: Images, console: Console) -> None:
    """Print what a job came to, or how it stands."""
    console.print("\n".join((*_summary(now), *_failures(images.failed))), markup=False, soft_wrap=True)
    ranking = images.ranked
    if ranking:
        console.print(f"\nPublished in the order in which validating teaches most ({count(len(ranking), 'image')}):")
        table = plain_table(*_COLUMNS, right=frozenset(_COLUMNS[:4]))
        for one in ranking[:MOST_SHOWN]:
            table.add_row(
                str(one.place), f"{one.score:.2f}", f"{one.unsure:.2f}", str(one.boxes), escape(one.file), one.name
            )
        console.print(table)
        if len(ranking) > MOST_SHOWN:
            console.print(f"and {len(ranking) - MOST_SHOWN:,} more: --ranking FILE.csv writes all", style="dim")


def _summary(now: Standing) -> Iterator[str]:
    known, request = now.known, now.request
    yield f"Annotating {now.job[:SHORT]} of {request.project} ({request.source}) is {now.state}" + (
        f" at {now.worker}." if now.state == "working" else "."
    )
    if now.reason:
        yield now.reason
    if known is None:
        return
    empty = f", {known.empty:,} without a box" if known.empty else ""
    yield f"{count(known.published, 'annotation')} published with {count(known.boxes, 'box')}{empty}, unvalidated."
    if known.repeated:
        yield f"{count(known.repeated, 'image')} of the same content as another, published once."
    for name, boxes in sorted(known.skipped.items(), key=lambda pair: -pair[1]):
        yield f"{count(boxes, 'box')} of the class {name!r} skipped: the project has no such class."
    for rule, images in sorted(known.failed.items(), key=lambda pair: -pair[1]):
        yield f"{count(images, 'image')} came to nothing: {rule}."
    if known.seconds and known.published:
        took = f"in {duration(known.seconds)}, {known.published / known.seconds:.1f} images/s"
        yield f"Model {known.model}, {took}."


def _failures(failed: Sequence[Failed]) -> Iterator[str]:
    for one in failed[:MOST_SHOWN]:
        yield f"  {one.file}: {one.reason} ({one.rule})"
    if len(failed) > MOST_SHOWN:
        yield f"  and {len(failed) - MOST_SHOWN:,} more: --json names all"


def listing(several: Sequence[Standing], console: Console) -> None:
    """Print jobs in a table."""
    columns = ("job", "asked", "state", "images", "published", "boxes", "order", "source")
    table = plain_table(*columns, right=frozenset(("images", "published", "boxes")))
    for one in several:
        known = one.known
        table.add_row(
            one.job[:SHORT],
            moment(one.request.asked_ms),
            one.state,
            f"{one.request.count:,}",
            f"{known.published:,}" if known else "",
            f"{known.boxes:,}" if known else "",
            one.request.order,
            escape(one.request.source),
        )
    console.print(table)


def as_json(now: Standing) -> Mapping[str, Any]:
    """Return a job for machines."""
    return {
        "job": now.job,
        "project": now.request.project,
        "source": now.request.source,
        "order": now.request.order,
        "state": now.state,
        "reason": now.reason,
        "worker": now.worker,
        **(now.known.model_dump(mode="json") if now.known else {"total": now.request.count}),
    }


def write_ranking(ranking: Sequence[Ranked], path: Path) -> None:
    """Write a ranking as CSV. Raises Misconfigured."""
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(_COLUMNS)
            writer.writerows((r.place, r.score, r.unsure, r.boxes, r.file, r.name) for r in ranking)
    except OSError as error:
        raise Misconfigured(f"the ranking can't be written to {path}: {error.strerror}") from error
