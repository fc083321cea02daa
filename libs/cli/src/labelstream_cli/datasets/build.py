"""labelstream dataset build: a dataset of a project, as of now or of any past offset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from labelstream.errors import Misconfigured
from labelstream_cli.datasets.build_view import show_made
from labelstream_cli.datasets.making import Made, Wanted, make, options_of
from labelstream_cli.datasets.options import Url
from labelstream_cli.datasets.place import Where, at_place
from labelstream_cli.importers.splits import read_splits
from labelstream_cli.running import Directory, Json, Project, failed
from labelstream_local.layout import DEFAULT

At = Annotated[
    int | None,
    typer.Option(
        min=0, metavar="OFFSET", help="As of this offset of annotation-events; default: all that is augmented."
    ),
]
Recipe = Annotated[
    str | None,
    typer.Option(
        metavar="PREFIX|newest",
        help="The augmentation recipe, by the first digits of its digest. Default: the newest; with --at, the first "
        "that reached that offset.",
    ),
]
Ratios = Annotated[
    str | None,
    typer.Option(metavar="A/B/C", help="Shares of train, val and test; default 70/20/10. Published splits stay."),
]
Salt = Annotated[str | None, typer.Option(help="Another word draws other splits.")]
Splits = Annotated[
    Path | None,
    typer.Option(help="A directory with lists of annotations: train.txt, val.txt, test.txt. The rest is drawn."),
]
IgnorePublished = Annotated[
    bool,
    typer.Option("--ignore-published", help="Draw the splits of all, also where producers published them with labels."),
]
Unvalidated = Annotated[
    bool, typer.Option("--unvalidated", help="Take unvalidated annotations too, as originals without variants.")
]
Classes = Annotated[
    list[str] | None, typer.Option("--class", metavar="NAME", help="Only this class; again for more. After --merge.")
]
Merge = Annotated[
    list[str] | None, typer.Option(metavar="A=B", help="Boxes of class A become B, which may be new; again for more.")
]
MinBox = Annotated[
    float | None, typer.Option(min=0, max=100, metavar="PERCENT", help="Leave out boxes below this share of the image.")
]
DropEmpty = Annotated[bool, typer.Option("--drop-empty", help="Leave out images that have no box, or none left.")]
MostPerSource = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="At most so many images of one photo or video.")
]
Name = Annotated[str | None, typer.Option("--name", help="A name to remember it by.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what it would be, and store nothing.")]


def build_dataset(  # noqa: PLR0913 -- typer makes an option of each
    *,
    project: Project = "default",
    at: At = None,
    recipe: Recipe = None,
    ratios: Ratios = None,
    salt: Salt = None,
    splits: Splits = None,
    ignore_published: IgnorePublished = False,
    unvalidated: Unvalidated = False,
    classes: Classes = None,
    merge: Merge = None,
    min_box: MinBox = None,
    drop_empty: DropEmpty = False,
    most_per_source: MostPerSource = None,
    name: Name = None,
    dry_run: DryRun = False,
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Build a dataset from what is annotated and augmented, and keep it.

    The same annotations with the same options give the same dataset, whoever builds it and when: its id says what is
    in it. `--at` builds it as it was at any past offset. Images of one source medium land in one split.

    It is kept until `labelstream dataset forget`.

    Examples:
    - `labelstream dataset build --dry-run`
    - `labelstream dataset build --ratios 70/15/15 --name baseline`
    - `labelstream dataset build --ratios 70/15/15 --ignore-published`
    - `labelstream dataset build --at 5120`
    - `labelstream dataset build --class car --class truck --merge van=truck --min-box 0.1 --drop-empty`
    - `labelstream dataset build --splits lists/ --json | jq -r .id`
    """
    given = {
        "ratios": ratios,
        "salt": salt,
        "published_splits": False if ignore_published else None,
        "validated_only": False if unvalidated else None,
        "classes": tuple(classes) if classes else None,
        "merge": _merged(merge or ()),
        "min_box_area_percent": min_box,
        "drop_empty": drop_empty or None,
        "most_per_source": most_per_source,
    }
    try:
        published = read_splits(splits).lists
        wanted = Wanted(options_of(given), published, at, recipe, name, dry_run)
    except Misconfigured as problem:
        raise failed(problem) from problem
    made = at_place(Where(directory, project, url, quiet=as_json), lambda place: make(place, wanted))
    _tell(made, as_json=as_json)


def _tell(made: Made, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(made.as_json(), ensure_ascii=False))
    else:
        show_made(made, Console(highlight=False))


def _merged(pairs: list[str] | tuple[()]) -> dict[str, str]:
    merged: dict[str, str] = {}
    for pair in pairs:
        old, equals, new = (part.strip() for part in pair.partition("="))
        if not (old and equals and new):
            raise typer.BadParameter(f"--merge {pair!r}: write it as OLD=NEW, such as van=truck")
        if merged.setdefault(old, new) != new:
            raise typer.BadParameter(f"--merge makes {old!r} both {merged[old]!r} and {new!r}")
    return merged
