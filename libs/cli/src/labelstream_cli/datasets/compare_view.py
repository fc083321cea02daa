"""How the difference between two datasets looks on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from labelstream_cli.datasets.tables import plain_table
from labelstream_cli.datasets.words import SHORT, count, option_in_words, some
from labelstream_datasets.checking.diff import ChangedImage, Difference

_LEAK = (
    "split by the same ratios, salt and lists, yet {} between splits: a model of one dataset may be tested on "
    "what the other trained on"
)


def show_difference(found: Difference, console: Console, *, names: bool) -> None:
    """Print what changed; `names` lists the annotations."""
    old, new = f"{found.old[:SHORT]} (cut {found.old_cut.offset})", f"{found.new[:SHORT]} (cut {found.new_cut.offset})"
    console.print(f"[bold]{old} → {new}[/]")
    if found.identical:
        console.print("the same dataset")
        return
    if found.leaking:
        moved = count(len(found.leaking), "image")
        console.print(f"[bold red]LEAK[/] {_LEAK.format(f'{moved} moved')}", soft_wrap=True)
    _show_images(found, console, names=names)
    if found.moved and not found.leaking:
        console.print("[yellow]splits were drawn otherwise[/]: test figures of models of the two can't be compared")
    _show_options(found, console)
    _show_classes(found, console)


def _show_images(found: Difference, console: Console, *, names: bool) -> None:
    table = plain_table("", "images", "", right=frozenset({"images"}))
    table.show_header = False
    kinds: tuple[tuple[str, Sequence[ChangedImage], str], ...] = (
        ("added", found.added, "green"),
        ("removed", found.removed, "red"),
        ("relabelled", found.relabelled, "yellow"),
        ("moved to another split", found.moved, "bold red" if found.leaking else "yellow"),
        ("same labels, other name", found.renamed, "yellow"),
    )
    for what, images, style in kinds:
        told = "" if names else some([one.name for one in images])
        table.add_row(f"[{style}]{what}[/]" if images else what, f"{len(images):,}", f"[dim]{escape(told)}[/]")
    if found.revaried:
        table.add_row("with other variants", f"{found.revaried:,}", "")
    table.add_row("unchanged", f"{found.same:,}", "")
    console.print(table)
    if names:
        for what, images, style in kinds:
            for one in images:
                console.print(f"  [{style}]{what}[/] {escape(_name(one))} [dim]{_place(one)}[/]", soft_wrap=True)


def _name(one: ChangedImage) -> str:
    return one.name if one.name_before in (None, one.name) else f"{one.name_before} → {one.name}"


def _place(one: ChangedImage) -> str:
    if one.before and one.after and one.before != one.after:
        return f"{one.before} → {one.after}"
    return one.after or one.before or ""


def _show_options(found: Difference, console: Console) -> None:
    if not found.options:
        console.print("\nbuilt with the same options and recipe")
        return
    console.print()
    table = plain_table("built with", "before", "after")
    for field, (before, after) in found.options.items():
        if field == "class_names":
            gone, come = [one for one in before if one not in after], [one for one in after if one not in before]
            table.add_row("classes only there", escape(some(gone)) or "—", escape(some(come)) or "—")
            continue
        cells = (escape(option_in_words(field, value)) for value in (before, after))
        table.add_row(field.replace("_", " "), *cells)
    console.print(table)


def _show_classes(found: Difference, console: Console) -> None:
    numbers = ("before", "after", "change")
    table = plain_table("images that show", "split", *numbers, right=frozenset(numbers))
    for one in sorted(found.classes, key=lambda one: one.name):
        change = one.after - one.before
        if change:
            style = "green" if change > 0 else "red"
            row = (escape(one.name), one.split, f"{one.before:,}", f"{one.after:,}", f"[{style}]{change:+,}[/]")
            table.add_row(*row)
    if table.rows:
        console.print()
        console.print(table)
    else:
        console.print("each class in as many images as before")
