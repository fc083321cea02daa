"""How `labelstream status` tells of trainings: those under way, and what the next one waits for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.markup import escape
from rich.table import Table

from labelstream_cli.jobs.words import SHORT, duration

DEFAULT = "default"


def trainings_table(trainings: Sequence[Mapping[str, Any]]) -> Table:
    """Return the trainings under way, one a line; each is what the trainer's fact says of it."""
    table = Table("training", "project", "state", "epoch", "mAP50", "time left", box=None, padding=(0, 2, 0, 0))
    for one in trainings:
        worker = f" by {one['worker']}" if one.get("worker") else ""
        table.add_row(
            escape(str(one["job"])[:SHORT]),
            escape(str(one["project"])),
            escape(f"{one['state']}{worker}{_again(one)}"),
            f"{one['epoch']} of {one['epochs']}" if one.get("epochs") else "-",
            "-" if one.get("map50") is None else f"{one['map50']:.3f}",
            "-" if one.get("eta_s") is None else duration(one["eta_s"]),
        )
    return table


def _again(one: Mapping[str, Any]) -> str:
    attempt, recoveries = one.get("attempt", 0), one.get("recoveries", 0)
    told = [f"attempt {attempt}"] if attempt > 1 else []
    told += [f"recovered {recoveries} times" if recoveries > 1 else "recovered once"] if recoveries else []
    return f" ({', '.join(told)})" if told else ""


def next_trainings(fact: object, *, known: bool = True, now: datetime | None = None) -> Iterator[str]:
    """Give a line for each project: what its next training waits for, as the trainer's fact says."""
    if not known:
        yield "next training: not known: trainer does not answer"
    elif not isinstance(fact, Mapping) or not fact:
        yield "next training: not known yet"
    else:
        for project, waits_for in fact.items():
            which = "" if len(fact) == 1 and project == DEFAULT else f" of {project}"
            yield f"next training{which}: {', '.join(_waits(waits_for, now or datetime.now(UTC)))}"


def _waits(fact: Mapping[str, Any], now: datetime) -> Iterator[str]:
    new, needed, scheduled = fact.get("validated_since_last"), fact.get("needed"), fact.get("next_scheduled")
    if needed:
        is_due = new is not None and new >= needed and not fact.get("not_before")
        yield f"{new} of {needed} validated annotations" + (": due once they are augmented" if is_due else "")
    elif new is not None:
        yield f"{new} validated annotations" if new else "nothing validated anew"
    elif not fact.get("asked_for"):
        yield "on request (`labelstream train`)"
    if fact.get("not_before"):
        yield f"not before {_moment(fact['not_before'], now)}"
    if scheduled:
        yield f"scheduled {_moment(scheduled, now)}"
    if fact.get("asked_for"):
        yield f"asked for up to offset {' and '.join(map(str, fact['asked_for']))}"


def _moment(text: str, now: datetime) -> str:
    """Return a time as one reads it: without the date where it comes within a day."""
    moment = datetime.fromisoformat(text)
    near = abs((moment - now).total_seconds()) < 24 * 3600
    return f"{moment:%H:%M} UTC" if near else f"{moment:%Y-%m-%d %H:%M} UTC"
