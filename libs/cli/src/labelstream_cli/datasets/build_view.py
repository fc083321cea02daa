"""How a dataset that was just built looks on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from labelstream import keys
from labelstream_cli.datasets.making import Made
from labelstream_cli.datasets.tables import show_counts
from labelstream_cli.datasets.words import COLUMNS, SHORT, count, options_in_words, some
from labelstream_datasets.checking.diff import unusual_options
from labelstream_datasets.checking.duplicates import Duplicates, Likeness
from labelstream_datasets.description import DatasetDescription

_MOST_PAIRS = 3


def show_made(made: Made, console: Console) -> None:
    """Print what is in it, what is not, and where it lies."""
    description = made.built.description
    console.print(f"[bold]{description.id}[/]", soft_wrap=True)
    lists = options_in_words(description, lists=bool(made.built.published))
    console.print(
        f"project {description.project}, annotations up to offset {description.cut.offset}, recipe "
        f"{description.recipe[:SHORT]}" + (f"\n{lists}" if lists else ""),
        markup=False,
    )
    console.print()
    show_counts(description, console)
    console.print(f"[dim]{COLUMNS}[/]")
    console.print()
    _show_splits(description, console)
    _show_shared(description, console)
    _show_boxless(description, console)
    _show_missing(made, console)
    _show_lists(made, console)
    _show_near(made.near, console)
    _show_place(made, console)


def _show_splits(description: DatasetDescription, console: Console) -> None:
    """Say whether ratios and salt decided anything."""
    images, published, listed = description.images, description.published_images, description.listed_images
    if not (published or listed):
        return
    of = f"of {count(images, 'image')}"
    whose = [f"{published:,} {of} {_have(published)} the split that their producer published"] if published else []
    whose += [f"{listed:,} {of} {_have(listed)} the split that a list says"] if listed else []
    asked = unusual_options(description).keys() & {"ratios", "salt"}
    style = "yellow" if asked and published + listed == images else "not bold"
    text = f"{', '.join(whose)}; the ratios apply to {images - published - listed:,}"
    console.print(f"[{style}]{text}[/]" + (" [dim](--ignore-published: to all)[/]" if published else ""))


def _show_shared(description: DatasetDescription, console: Console) -> None:
    shared, other = description.shared_images, description.shared_other_split
    if not shared:
        return
    console.print(
        f"[yellow]{count(shared, 'annotation')} not taken[/]: a newer one shows the same image"
        + (f"; {other:,} of them published for another split (an image stays in its source's)" if other else "")
    )


def _show_boxless(description: DatasetDescription, console: Console) -> None:
    if not any(held.boxes for held in description.counts.values()):
        console.print("[yellow]no image of it has a box[/]: a model can learn nothing from it")
    if description.emptied_images:
        have = "image has" if description.emptied_images == 1 else "images have"
        console.print(f"[yellow]{description.emptied_images:,} {have} no box left[/]: --drop-empty leaves them out")


def _have(number: int) -> str:
    return "has" if number == 1 else "have"


def _show_missing(made: Made, console: Console) -> None:
    total = made.built.description.missing
    if total:
        console.print(f"[yellow]{count(total, 'image')} missing[/]: could not be augmented")
        for one in made.missing:
            console.print(f"  {one.images:,} × {escape(one.reason)} [dim]({escape(some(one.names))})[/]")
    later = made.end - made.built.description.cut.offset
    if later > 0:
        console.print(f"[dim]{count(later, 'later event')} of annotations not taken[/]")


def _show_lists(made: Made, console: Console) -> None:
    description = made.built.description
    if description.published_unknown:
        number = count(description.published_unknown, "name")
        console.print(f"[yellow]{number} of the lists belong to no annotation[/]")
    if description.published_left_test:
        number = count(description.published_left_test, "source")
        console.print(
            f"[yellow]{number} left the test split because a list says so[/]: older models trained without it"
        )


def _show_near(near: Duplicates, console: Console) -> None:
    if not near.images:
        console.print(
            "[yellow]near duplicates were not looked for[/]: these images were augmented before that was noted"
        )
        return
    among = f" among the {count(near.images, 'image')} that {_have(near.images)} a hash; {near.without_hash:,} without"
    among = among if near.without_hash else ""
    if not near.across:
        console.print(f"no near duplicates in different splits{among}")
        return
    pairs = count(near.across, "pair")
    console.print(
        f"[yellow]{pairs} of near duplicates in different splits[/]{among} (up to {near.most_bits} bits differ), "
        "such as"
    )
    across = [pair for pair in near.pairs if pair.first.split != pair.second.split]
    for pair in across[:_MOST_PAIRS]:
        bits = "the same hash" if pair.bits == 0 else count(pair.bits, "bit")
        console.print(f"  {_one(pair.first)} and {_one(pair.second)} [dim]{bits}[/]")


def _one(image: Likeness) -> str:
    return f"{escape(image.name)} ({image.split})"


def _show_place(made: Made, console: Console) -> None:
    description = made.built.description
    key = keys.dataset(description.project, description.id, "")
    if made.kept is None:
        there = ": it is stored already" if made.existed else ""
        console.print(f"Nothing was stored (--dry-run){there}.")
        return
    name = f" as {made.kept.name}" if made.kept.name else ""
    done = "This dataset existed already" if made.existed else "Built"
    console.print(
        f"[green]{done}[/], kept{escape(name)} until `labelstream dataset forget {description.id[:SHORT]}`, at"
    )
    console.print(key, markup=False, soft_wrap=True)
