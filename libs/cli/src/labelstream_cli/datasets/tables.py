"""Tables that several commands about datasets print."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from labelstream.values import SPLITS
from labelstream_datasets.description import DatasetDescription

_MOST_CLASSES = 40


def plain_table(*columns: str, right: frozenset[str] = frozenset()) -> Table:
    """Return a table without lines; the columns of `right` hold numbers."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def show_counts(description: DatasetDescription, console: Console) -> None:
    """Print what each split holds, and how many images show each class."""
    numbers = ("sources", "images", "samples", "boxes")
    table = plain_table("split", *numbers, right=frozenset(numbers))
    for split in SPLITS:
        held = description.count(split)
        table.add_row(split, f"{held.media:,}", f"{held.images:,}", f"{held.samples:,}", f"{held.boxes:,}")
    console.print(table)
    console.print()
    console.print(_classes(description))


def _classes(description: DatasetDescription) -> Table:
    table = plain_table("images that show", *SPLITS, right=frozenset(SPLITS))
    shown: dict[int, list[int]] = {}
    for number in range(len(description.class_schema.classes)):
        shown[number] = [description.count(split).class_images.get(number, 0) for split in SPLITS]
    present = [number for number, counts in shown.items() if any(counts)]
    for number in present[:_MOST_CLASSES]:
        name = escape(description.class_schema.classes[number])
        table.add_row(name, *(f"{images:,}" if images else "[yellow]none[/]" for images in shown[number]))
    rest = len(present) - _MOST_CLASSES
    if rest > 0:
        table.add_row(f"[dim]and {rest} more classes[/]")
    absent = len(shown) - len(present)
    if absent:
        table.add_row(f"[dim]({absent} of {len(shown)} classes in no image)[/]")
    return table
