"""How stored datasets look on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import Console
from rich.markup import escape

from labelstream.values import SPLITS
from labelstream_cli.datasets.catalogue import Catalogue, Kept, Stored
from labelstream_cli.datasets.tables import plain_table, show_counts
from labelstream_cli.datasets.uses import Uses
from labelstream_cli.datasets.words import SHORT, count, options_in_words, size, some, when


def show_list(project: str, found: Catalogue, used: Mapping[str, Uses], console: Console) -> None:
    """Print the datasets of a project."""
    if not found.datasets:
        console.print(f"The project {project} has no dataset yet: `labelstream dataset build` makes one.", markup=False)
    else:
        table = plain_table("id", "made", "cut", *SPLITS, "", right=frozenset({"cut", *SPLITS}))
        for column in table.columns[:-1]:
            column.no_wrap = True
        for one in found.datasets:
            samples = (f"{one.description.count(split).samples:,}" for split in SPLITS)
            notes = "\n".join(_notes(one, used.get(one.id, Uses())))
            table.add_row(one.id[:SHORT], when(one.made), str(one.description.cut.offset), *samples, notes)
        console.print(table)
    if found.unreadable:
        ids = some([one[:SHORT] for one in found.unreadable])
        console.print(f"[yellow]{count(len(found.unreadable), 'description')} can't be read: {ids}[/]")


def show_one(stored: Stored, used: Uses, console: Console) -> None:
    """Print one dataset."""
    description = stored.description
    console.print(f"[bold]{stored.id}[/]", soft_wrap=True)
    table = plain_table("", "")
    table.show_header = False
    for label, text in _facts(stored, used):
        table.add_row(f"[dim]{label}[/]", escape(text))
    console.print(table)
    if description.manifest:
        console.print(
            f"[dim]manifest[/]  {size(description.manifest.size_bytes)}, {description.manifest.key}", soft_wrap=True
        )
    console.print()
    show_counts(description, console)


def standing_of(kept: Kept | None) -> str:
    """Say whether a dataset is kept."""
    if kept is None:
        return "not kept: `labelstream gc` may remove it when no kept model was trained on it"
    return f"kept as {', '.join(kept.names)}" if kept.names else "kept"


def _notes(one: Stored, used: Uses) -> Iterator[str]:
    if one.kept is not None:
        yield f"[green]{escape(standing_of(one.kept))}[/]"
    yield from (escape(text) for text in (_used(used),) if text)
    options = options_in_words(one.description, lists=one.description.published is not None)
    if options:
        yield f"[dim]{escape(options)}[/]"


def _facts(stored: Stored, used: Uses) -> Iterator[tuple[str, str]]:
    description = stored.description
    yield "project", description.project
    yield "made", when(stored.made)
    yield "cut", f"offset {description.cut.offset} of {description.cut.stream}"
    yield "recipe", description.recipe[:SHORT]
    yield "options", options_in_words(description, lists=description.published is not None) or "the defaults"
    yield "standing", standing_of(stored.kept)
    yield "used by", _used(used) or "nothing yet"
    if description.missing:
        yield "missing", f"{count(description.missing, 'image')} that could not be augmented"


def _used(used: Uses) -> str:
    said = []
    if used.trainings:
        states = sorted({one.state for one in used.trainings})
        said.append(f"{count(len(used.trainings), 'training')} ({', '.join(states)})")
    for model in used.models:
        state = " in service" if model.in_service else " withdrawn" if model.withdrawn else ""
        said.append(f"model {model.id[:SHORT]}{state}")
    return ", ".join(said)
