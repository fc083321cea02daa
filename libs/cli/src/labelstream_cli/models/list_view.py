"""How a list of models looks on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import shorten

from rich.console import Console
from rich.markup import escape

from labelstream.models import ModelState, Refusal
from labelstream_cli.datasets.tables import plain_table
from labelstream_cli.jobs.words import SHORT, moment
from labelstream_cli.models.awaited import Awaited
from labelstream_cli.models.book import Books
from labelstream_cli.models.facts import FormatState, Standing, formats_of, standing_of, why_not

MARKS: Mapping[FormatState, str] = {
    "proved": "[green]✓[/]",
    "unproven": "[yellow]?[/]",
    "waiting": "[yellow]…[/]",
    "refused": "[red]✗[/]",
}
STYLES: Mapping[Standing, str] = {"serves": "green", "served": "dim", "not promoted": "yellow", "withdrawn": "red"}
_COLUMNS = ("model", "project", "exported", "ed.", "formats", "mAP50-95", "standing")
_NOTE = 120  # characters of a reason
_WIDE = 110  # characters: there is room for formats beside each other
Row = ModelState | Refusal | Awaited


def show_models(books: Books, rows: Sequence[Row], console: Console, more: int = 0) -> None:
    """Print models and refused trainings, one a line; `more` are not shown."""
    is_wide = console.width >= _WIDE
    notes: list[str] = []
    cells = [_cells(books, row, notes, "  " if is_wide else "\n") for row in rows]
    kept = [at for at, name in enumerate(_COLUMNS) if _tells(name, [each[at] for each in cells])]
    table = plain_table(*(_COLUMNS[at] for at in kept), right=frozenset({"ed."}))
    table.padding = (0, 2 if is_wide else 1, 0, 0)
    for column in table.columns:
        column.no_wrap = column.header != "formats" or not is_wide
    for each in cells:
        table.add_row(*(each[at] for at in kept))
    console.print(table)
    for note in notes:
        console.print(note, soft_wrap=True)
    console.print("  ".join(f"{mark} {state}" for state, mark in MARKS.items()), style="dim")
    if more:
        console.print(f"[dim]and {more:,} older: --limit shows more[/]")


def _tells(column: str, cells: Sequence[str]) -> bool:
    """Whether a column tells anything: the project does where there are several, the edition where one is a later."""
    if column == "project":
        return len(set(cells)) > 1
    return column != "ed." or bool(set(cells) - {"", "1"})


def _cells(books: Books, row: Row, notes: list[str], between: str) -> tuple[str, ...]:
    if isinstance(row, Refusal):
        said = _short(f"{row.event.rule}: {row.event.reason}")
        notes.append(f"[red]✗[/] training {row.event.job[:SHORT]}: {escape(said)}")
        return "-", escape(row.project), moment(row.time_ms), "", "", "", "[red]refused[/]"
    if isinstance(row, Awaited):
        notes.append(f"[yellow]…[/] training {row.job[:SHORT]}: {escape(_reasons(row))}")
        formats = between.join(f"{escape(each.format)} {MARKS['waiting']}" for each in row.waiting)
        return "-", escape(row.project), moment(row.time_ms), "", formats, "", "[yellow]waits[/]"
    exported, standing = row.exported, standing_of(books.models, row)
    if standing in ("not promoted", "withdrawn"):
        notes.append(f"[dim]{row.model[:SHORT]}: {escape(_short(why_not(books, row)))}[/]")
    number = f" #{row.promotions[-1].event.number}" if row.promotions else ""
    return (
        row.model[:SHORT],
        escape(row.project),
        moment(row.envelope.time_ms),
        str(exported.edition),
        between.join(f"{escape(each.name)} {MARKS[each.state]}" for each in formats_of(books.models, row)),
        f"{exported.test.map50_95:.3f}",
        f"[{STYLES[standing]}]{standing}{number}[/]",
    )


def _reasons(row: Awaited) -> str:
    return "; ".join(dict.fromkeys(each.why for each in row.waiting)) or "is about to be exported"


def _short(text: str) -> str:
    return shorten(text, _NOTE, placeholder=" …")
