"""How a list of models looks on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from textwrap import shorten

from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

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
_LESSER = ("ed.", "exported", "project", "mAP50-95")  # that a narrow terminal does without, the first first
_NOTE = 120  # characters of a reason
_WIDE = 110  # characters: there is room for formats beside each other
_UNLIMITED = 1000
Row = ModelState | Refusal | Awaited


def show_models(
    books: Books, rows: Sequence[Row], console: Console, waiting: Sequence[Awaited] = (), more: int = 0
) -> None:
    """Print models, refused trainings and waiting ones, one a row, then why; `more` are not shown."""
    is_wide = console.width >= _WIDE
    cells = [_cells(books, row) for row in rows]
    told = [at for at, name in enumerate(_COLUMNS) if _tells(name, [each[at] for each in cells])]
    kept = _fitting(told, cells, console)
    console.print(_table(kept, cells, 2 if is_wide else 1, beside=is_wide))
    for note in _notes(books, rows, {each.model: each for each in waiting if each.model is not None}):
        console.print(note)
    console.print("  ".join(f"{mark} {state}" for state, mark in MARKS.items()), style="dim")
    if len(kept) < len(told):
        left_out = ", ".join(_COLUMNS[at] for at in told if at not in kept)
        console.print(f"[dim]a wider terminal, or --json, also tells: {left_out}[/]")
    if more:
        console.print(f"[dim]and {more:,} older: --limit shows more[/]")


def _tells(column: str, cells: Sequence[str]) -> bool:
    """Whether a column tells anything: the project does where there are several, the edition where one is a later."""
    if column == "project":
        return len(set(cells)) > 1
    return column != "ed." or bool(set(cells) - {"", "1"})


def _fitting(told: Sequence[int], cells: Sequence[Sequence[str]], console: Console) -> list[int]:
    """Return the columns that a terminal has room for."""
    kept = list(told)
    unlimited = console.options.update(max_width=_UNLIMITED)
    for lesser in map(_COLUMNS.index, _LESSER):
        if Measurement.get(console, unlimited, _table(kept, cells)).maximum <= console.width:
            break
        if lesser in kept:
            kept.remove(lesser)
    return kept


def _table(kept: Sequence[int], cells: Sequence[Sequence[str]], gap: int = 1, *, beside: bool = False) -> Table:
    """Return the table, with the formats of a model `beside` each other or below."""
    table = plain_table(*(_COLUMNS[at] for at in kept), right=frozenset({"ed."}))
    table.padding = (0, gap, 0, 0)
    for column in table.columns:
        column.no_wrap = not beside or column.header != "formats"
    for each in cells:
        table.add_row(*(each[at].replace("\n", "  ") if beside else each[at] for at in kept))
    return table


def _cells(books: Books, row: Row) -> tuple[str, ...]:
    if isinstance(row, Refusal):
        return "-", escape(row.project), moment(row.time_ms), "", "", "", "[red]refused[/]"
    if isinstance(row, Awaited):
        formats = "\n".join(_marked(each.format, "waiting") for each in row.waiting)
        return "-", escape(row.project), moment(row.time_ms), "", formats, "", "[yellow]waits[/]"
    exported, standing = row.exported, standing_of(books.models, row)
    number = f" #{row.promotions[-1].event.number}" if row.promotions else ""
    return (
        row.model[:SHORT],
        escape(row.project),
        moment(row.envelope.time_ms),
        str(exported.edition),
        "\n".join(_marked(each.name, each.state) for each in formats_of(books.models, row)),
        f"{exported.test.map50_95:.3f}",
        f"[{STYLES[standing]}]{standing}{number}[/]",
    )


def _marked(name: str, state: FormatState) -> str:
    return f"{escape(name)} {MARKS[state]}"


def _notes(books: Books, rows: Sequence[Row], waiting: Mapping[str, Awaited]) -> Iterator[str]:
    """Say what the table has no room for: why something was refused, does not serve, or waits."""
    for row in rows:
        if isinstance(row, Refusal):
            said = _short(f"{row.event.rule}: {row.event.reason}")
            yield f"[red]✗[/] training {row.event.job[:SHORT]}: {escape(said)}"
        elif isinstance(row, Awaited):
            yield f"[yellow]…[/] training {row.job[:SHORT]}: {escape(row.why)}"
        else:
            if why := why_not(books, row):
                yield f"[dim]{row.model[:SHORT]}: {escape(_short(why))}[/]"
            for told in books.replicas.without(row.model):
                yield f"[red]✗[/] {row.model[:SHORT]}: {escape(_short(told.words))}"
            if awaited := waiting.get(row.model):
                formats = ", ".join(each.format for each in awaited.waiting)
                yield f"[yellow]…[/] {row.model[:SHORT]} waits for {escape(formats)}: {escape(awaited.why)}"


def _short(text: str) -> str:
    return shorten(text, _NOTE, placeholder=" …")
