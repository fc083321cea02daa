"""How `labelstream gc` tells what would go, what went, and what stays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from labelstream_cli.gc.ages import age
from labelstream_cli.gc.plan import Candidate, Tally
from labelstream_cli.gc.roots import Why
from labelstream_cli.gc.survey import Rules, Surveyed
from labelstream_cli.gc.sweeping import Swept

_KEPT_SHOWN = 10
_REASONS = {
    "image.unnamed": "no receipt names them",
    "archive.unnamed": "no event and no kept dataset names them",
    "archive.older_recipe": "of the older recipe {recipe}; no kept dataset needs them",
}


@dataclass(frozen=True)
class Group:
    """Candidates that may go for one reason."""

    why: Why
    candidates: Sequence[Candidate]

    @property
    def size_bytes(self) -> int:
        """How much room they take."""
        return sum(one.info.size_bytes for one in self.candidates)

    @property
    def span(self) -> tuple[datetime, datetime]:
        """When the oldest and the newest was written."""
        written = [one.info.modified for one in self.candidates]
        return min(written), max(written)

    @property
    def reason(self) -> str:
        """In words."""
        return _REASONS[self.why.reason].format(recipe=(self.why.recipe or "")[:12])


def groups(candidates: Sequence[Candidate]) -> Iterator[Group]:
    """Yield the candidates by reason; a recipe is a reason of its own."""

    def key(one: Candidate) -> tuple[str, str, str]:
        return one.why.kind, one.why.reason, one.why.recipe or ""

    for _, found in groupby(sorted(candidates, key=key), key=key):
        together = list(found)
        yield Group(together[0].why, together)


def show(surveyed: Surveyed, rules: Rules, console: Console) -> None:
    """Print what would go of one project, and what is kept."""
    plan = surveyed.plan
    console.print(f"[bold]{escape(plan.project)}[/]")
    _show_kept(surveyed, console)
    for note in surveyed.notes:
        _note(console, note)
    if plan.doubts:
        console.print("  Nothing of this project can be removed:", style="red")
        for doubt in plan.doubts:
            console.print(f"  - {doubt}", style="red", markup=False, soft_wrap=True)
    elif plan.candidates:
        console.print(_table(list(groups(plan.candidates))))
    else:
        console.print("  Nothing to remove.", style="green")
    if plan.young.objects and not plan.doubts:
        young = f"{count(plan.young.objects, 'object')} ({decimal(plan.young.size_bytes)})"
        _note(console, f"{young} that nothing refers to: not older than {age(rules.grace)} yet")
    if surveyed.jobs.objects:
        left = f"{count(surveyed.given_up.objects, 'file')} ({decimal(surveyed.given_up.size_bytes)})"
        told = f"jobs/ has {count(surveyed.jobs.objects, 'file')} ({decimal(surveyed.jobs.size_bytes)})"
        _note(console, f"{told}, {left} of attempts that another took over: gc leaves them")


def show_swept(swept: Swept, console: Console) -> None:
    """Print what became of a plan."""
    total = swept.total
    told = f"{swept.project}: {count(total.objects, 'object')} removed ({decimal(total.size_bytes)})"
    told += f", {count(len(swept.gone), 'object')} gone before" if swept.gone else ""
    console.print(told, style="green", markup=False, highlight=False)
    for key, why in list(swept.stayed.items())[:_KEPT_SHOWN]:
        console.print(f"  stayed: {key}: {why}", markup=False, highlight=False, soft_wrap=True)
    if len(swept.stayed) > _KEPT_SHOWN:
        console.print(f"  … and {len(swept.stayed) - _KEPT_SHOWN} more stayed", highlight=False)


def as_json(surveyed: Surveyed, swept: Swept | None) -> dict[str, Any]:
    """Return one project for machines, with every key."""
    plan = surveyed.plan
    found: dict[str, Any] = {
        "project": plan.project,
        "doubts": list(plan.doubts),
        "notes": list(surveyed.notes),
        "groups": [_group_json(group) for group in groups(plan.candidates)],
        "staying": {kind: _tally_json(tally) for kind, tally in plan.staying.items()},
        "too_young": _tally_json(plan.young),
        "kept_datasets": dict(surveyed.kept.reasons),
        "jobs": {**_tally_json(surveyed.jobs), "given_up": _tally_json(surveyed.given_up)},
    }
    if swept is not None:
        found["removed"] = {**_tally_json(swept.total), "keys": [one.info.key for one in swept.removed]}
        found["gone_before"] = swept.gone
        found["stayed"] = swept.stayed
    return found


def lines(surveyed: Sequence[Surveyed]) -> Iterator[str]:
    """Yield one line for each object that would go: key, bytes, when it was written, why."""
    for one in surveyed:
        for candidate in one.plan.candidates:
            info = candidate.info
            yield f"{info.key}\t{info.size_bytes}\t{info.modified.isoformat()}\t{candidate.why.reason}\n"


def count(number: int, noun: str) -> str:
    """Return such as `no objects`, `1 object`, `1,200 objects`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}" if number else f"no {noun}s"


def _show_kept(surveyed: Surveyed, console: Console) -> None:
    staying: Mapping[str, Tally] = surveyed.plan.staying
    parts = [
        f"{count(tally.objects, kind)} ({decimal(tally.size_bytes)})"
        for kind, tally in staying.items()
        if tally.objects
    ]
    if parts:
        _note(console, f"needed: {', '.join(parts)}")
    reasons = surveyed.kept.reasons
    if reasons:
        _note(console, f"{count(len(reasons), 'dataset')} kept:")
    for dataset, why in list(reasons.items())[:_KEPT_SHOWN]:
        _note(console, f"  {dataset[:12]}  {why}")
    if len(reasons) > _KEPT_SHOWN:
        _note(console, f"  … and {len(reasons) - _KEPT_SHOWN} more; --json names all")


def _table(found: Sequence[Group]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_footer=len(found) > 1)
    total = Tally(sum(len(one.candidates) for one in found), sum(one.size_bytes for one in found))
    table.add_column("  would go", no_wrap=True, footer="  together")
    table.add_column("number", justify="right", no_wrap=True, footer=f"{total.objects:,}")
    table.add_column("size", justify="right", no_wrap=True, footer=decimal(total.size_bytes))
    table.add_column("oldest", no_wrap=True)
    table.add_column("newest", no_wrap=True)
    table.add_column("why", ratio=1)
    for one in found:
        days = [f"{moment:%Y-%m-%d}" for moment in one.span]
        number = f"{len(one.candidates):,}"
        table.add_row(f"  {one.why.kind}s", number, decimal(one.size_bytes), *days, escape(one.reason))
    return table


def _note(console: Console, text: str) -> None:
    console.print(f"  {text}", style="dim", markup=False, highlight=False, soft_wrap=True)


def _tally_json(tally: Tally) -> dict[str, int]:
    return {"objects": tally.objects, "size_bytes": tally.size_bytes}


def _group_json(group: Group) -> dict[str, Any]:
    oldest, newest = group.span
    return {
        "kind": group.why.kind,
        "reason": group.why.reason,
        "recipe": group.why.recipe,
        "objects": len(group.candidates),
        "size_bytes": group.size_bytes,
        "oldest": oldest.isoformat(),
        "newest": newest.isoformat(),
        "keys": [one.info.key for one in group.candidates],
    }
