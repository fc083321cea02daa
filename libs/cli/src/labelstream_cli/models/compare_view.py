"""How two models look side by side on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from labelstream_cli.datasets.tables import plain_table
from labelstream_cli.jobs.words import SHORT, moment, within
from labelstream_cli.models.comparison import Comparison, Figure, FormatOf
from labelstream_cli.models.formats_view import figures, map_lost
from labelstream_cli.models.list_view import MARKS
from labelstream_cli.models.side import Side

_MOST_CLASSES = 20


def show_comparison(found: Comparison, console: Console) -> None:
    """Print both."""
    for letter, side in (("A", found.a), ("B", found.b)):
        console.print(f"[bold]{letter}[/] {_line(side)}", soft_wrap=True)
    console.print(found.note, style="dim" if found.same_images else "yellow", soft_wrap=True)
    console.print()
    console.print(_table("", found.figures))
    if found.classes:
        console.print()
        shown = found.classes[:_MOST_CLASSES]
        console.print(_table("mAP50-95 of", shown))
        if len(found.classes) > len(shown):
            console.print(f"and {len(found.classes) - len(shown)} classes that changed less", style="dim")
    console.print()
    console.print(_formats(found))
    console.print()
    _show_changes(found, console)
    for line in found.missing:
        console.print(line, markup=False, style="dim", soft_wrap=True)


def _line(side: Side) -> str:
    state = side.state
    numbers = ", ".join(f"#{each.event.number}" for each in state.promotions)
    promoted = f", promoted {numbers}" if numbers else ""
    return f"{state.model[:SHORT]} of {escape(state.project)}, exported {moment(state.envelope.time_ms)}{promoted}"


def _table(head: str, rows: Sequence[Figure]) -> Table:
    numbers = ("A", "B", "B − A")
    table = plain_table(head, "A", "95 %", "B", "95 %", "B − A", "95 %", right=frozenset(numbers))
    for row in rows:
        style = ("[green]" if (row.difference or 0) > 0 else "[red]") if row.is_clear else ""
        table.add_row(
            escape(row.name),
            _figure(row.a),
            f"[dim]{within(row.a_interval)}[/]",
            _figure(row.b),
            f"[dim]{within(row.b_interval)}[/]",
            f"{style}{_signed(row.difference)}",
            f"[dim]{within(row.difference_interval)}[/]",
        )
    return table


def _formats(found: Comparison) -> Table:
    numbers = ("A size", "B size", "A mAP lost", "B mAP lost")
    columns = ("format", "A", "A size", "A mAP lost", "B", "B size", "B mAP lost")
    table = plain_table(*columns, right=frozenset(numbers))
    for name, (a, b) in found.formats.items():
        table.add_row(escape(name), *_format(a), *_format(b))
    return table


def _format(one: FormatOf | None) -> tuple[str, str, str]:
    if one is None:
        return "-", "", ""
    lost = figures(one.agreement, one.limits)[3] if one.agreement and map_lost(one.agreement) is not None else ""
    return MARKS[one.state], decimal(one.size_bytes) if one.size_bytes is not None else "", lost


def _show_changes(found: Comparison, console: Console) -> None:
    if not found.changes:
        console.print("made from the same dataset by the same recipe")
        return
    table = plain_table("made otherwise", "", "A", "B")
    for change in found.changes:
        table.add_row(change.group, escape(change.what), escape(change.a), escape(change.b))
    console.print(table)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.3f}"


def comparison_as_json(found: Comparison) -> dict[str, Any]:
    """Return it for machines."""
    return {
        "a": found.a.state.model,
        "b": found.b.state.model,
        "same_images": found.same_images,
        "note": found.note,
        "figures": [_figure_as_json(each) for each in found.figures],
        "classes": [_figure_as_json(each) for each in found.classes],
        "formats": {
            name: {"a": _format_as_json(a), "b": _format_as_json(b)} for name, (a, b) in found.formats.items()
        },
        "changes": [vars(each) for each in found.changes],
        "images": [
            {"image": pair.a.image, "a": pair.a.quality, "b": pair.b.quality} for pair in found.pairs
        ],
        "missing": list(found.missing),
    }  # fmt: skip


def _figure_as_json(figure: Figure) -> dict[str, Any]:
    intervals = {
        name: value.model_dump() if value else None
        for name, value in (
            ("a_interval", figure.a_interval),
            ("b_interval", figure.b_interval),
            ("difference_interval", figure.difference_interval),
        )
    }
    values = {"name": figure.name, "a": figure.a, "b": figure.b, "difference": figure.difference}
    return {**values, **intervals, "clear": figure.is_clear}


def _format_as_json(one: FormatOf | None) -> dict[str, Any] | None:
    if one is None:
        return None
    agreement = one.agreement.model_dump(mode="json") if one.agreement else None
    return {"state": one.state, "size_bytes": one.size_bytes, "agreement": agreement}
