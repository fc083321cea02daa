"""labelstream push: annotated images and videos onto the stream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from labelstream.errors import Misconfigured
from labelstream_cli.importers import ClassMap, Options, Problem, is_archive, published_splits, read_folder, unpacked
from labelstream_cli.push.publishing import Manner, Pushed
from labelstream_cli.push.report import Plan, check_report, show_pushed, write_report
from labelstream_cli.push.run import run_push
from labelstream_cli.push.target import find_target
from labelstream_cli.reaching import Url
from labelstream_cli.running import TELLS, CommandFailed, Directory, Json, failed
from labelstream_local.layout import DEFAULT

Source = Annotated[Path, typer.Argument(help="A folder, a zip or tar archive, or a video.", show_default=False)]
Splits = Annotated[
    Path | None,
    typer.Option(help="A directory with published lists: train.txt, val.txt, test.txt. Found by itself in the source."),
]
Every = Annotated[int, typer.Option(min=1, help="Of a video's frames without labels, send one in so many.")]
Unlabelled = Annotated[
    bool, typer.Option("--unlabelled", help="Send images that have no labels too: without boxes, not validated.")
]
Maps = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="SOURCE=TARGET", help="Rename a class; `SOURCE=` drops its boxes; again for more."),
]
MapFile = Annotated[
    Path | None, typer.Option(help="YAML or JSON: source class, by name or number → class of the project, or null.")
]
Schema = Annotated[
    str | None,
    typer.Option(help="The project's class schema, a shipped name or a file. Default: the one that the stack has."),
]
Tags = Annotated[
    list[str] | None, typer.Option("--tag", help="A word of your own for each annotation; again for more.")
]
Unvalidated = Annotated[
    bool, typer.Option("--unvalidated", help="The boxes are not checked by a person yet: no training takes them.")
]
ByReference = Annotated[
    bool,
    typer.Option(
        "--by-reference",
        help="Put every image into the store and send references; without it, the local stack's store takes only those "
        "over about 1 MB. With --url the store is read from LABELSTREAM_STORE__ENDPOINT_URL, "
        "LABELSTREAM_STORE__ACCESS_KEY and LABELSTREAM_STORE__SECRET_KEY_FILE.",
    ),
]
StreamName = Annotated[
    str, typer.Option(help="The input stream; it decides the project and what its producers may do.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be sent, and send nothing.")]
Report = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write what was left out and why: .csv, or .json for everything.")
]
Restart = Annotated[bool, typer.Option("--restart", help="Send what earlier pushes of this source have sent, too.")]
_MOST_REFUSED = 3  # entries of an archive, shown with an error
Wait = Annotated[bool, typer.Option("--wait", help="Follow until each message has its receipt.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("push")(_push)


def _push(  # noqa: PLR0913 -- typer makes an option of each
    source: Source,
    *,
    splits: Splits = None,
    every: Every = 10,
    unlabelled: Unlabelled = False,
    class_map: MapFile = None,
    maps: Maps = None,
    schema: Schema = None,
    tags: Tags = None,
    unvalidated: Unvalidated = False,
    by_reference: ByReference = False,
    stream: StreamName = "annotations",
    directory: Directory = DEFAULT,
    url: Url = None,
    dry_run: DryRun = False,
    report: Report = None,
    restart: Restart = False,
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """Publish annotated images and videos over the stream, as any producer would.

    The form is detected: YOLO, COCO, PASCAL VOC or Azaion folders, zip and tar archives of them, videos. What can't
    be used is left out and reported. Interrupted, the same command goes on where it stopped; a file or label that
    changed since is sent again.

    A video gives every Nth frame, unvalidated and without boxes, for a person to label. YOLO lines in
    `labels/VIDEO_FRAME.txt` beside it (with classes.txt or data.yaml) are the labels of a frame.

    A file media.csv in the folder (first line: image,medium) says which photo or video an image came from; images of
    one medium land in one split. Without it, each image is a medium of its own.

    Examples:
    - `labelstream push photos/ --dry-run`: what would be sent, with the classes
    - `labelstream push photos.zip --wait`
    - `labelstream push VOC2007/ --map aeroplane=Plane --map sofa= --report left-out.csv`
    - `labelstream push flight.mp4 --every 25 --tag june`
    - `labelstream push snapshots/ --unlabelled`
    - `labelstream push azaion/ --class-map to-ours.yaml`
    - `labelstream push photos/ --stream trusted --url rabbitmq-stream://me:secret@broker:5552/vhost --schema ours.json`
    """
    console = Console(highlight=False, quiet=as_json)
    manner = Manner(unvalidated=unvalidated, tags=tuple(tags or ()))
    try:
        check_report(report)
        mapping = ClassMap.of(class_map, maps or ())
        target = find_target(stream, directory, url, schema, by_reference=by_reference, dry_run=dry_run)
        options = Options(every=every, unlabelled=unlabelled, numbered=mapping.numbered)
        with _opened(source, console) as (folder, refused):
            imported = read_folder(folder, splits or published_splits(folder), options)
            imported = replace(imported, problems=(*refused, *imported.problems))
            plan = Plan(source, mapping.apply(imported, target.schema), manner, target, unlabelled)
            plan.show(console, whole=dry_run)
            _write(report, plan, None)
            pushed = None if dry_run else _run(plan, restart=restart, wait=wait, quiet=as_json)
    except (*TELLS, CommandFailed) as problem:
        raise failed(problem) from problem
    said = _write(report, plan, pushed)
    if as_json:
        typer.echo(json.dumps(said, ensure_ascii=False))
    _tell(console, plan, pushed, wait=wait)


def _run(plan: Plan, *, restart: bool, wait: bool, quiet: bool) -> Pushed:
    if not plan.images:
        raise Misconfigured(f"there is nothing to send in {plan.source}")
    if plan.refusal is not None:
        raise Misconfigured(plan.refusal)
    return run_push(plan, restart=restart, wait=wait, quiet=quiet)


@contextmanager
def _opened(source: Path, console: Console) -> Iterator[tuple[Path, tuple[Problem, ...]]]:
    """Yield the folder or video that `source` is or holds, and what was refused of an archive."""
    if source.is_dir() or not is_archive(source):
        yield source, ()
        return
    with console.status(f"unpacking {source.name}"), ExitStack() as stack:
        found = stack.enter_context(unpacked(source))
        stay = stack.pop_all()
    with stay:
        try:
            yield found
        except Misconfigured as error:
            folder, refused = found
            inside = "".join(f"\n  left out of it: {one}" for one in refused[:_MOST_REFUSED])
            raise Misconfigured(str(error).replace(str(folder), str(source)) + inside) from error


def _write(report: Path | None, plan: Plan, pushed: Pushed | None) -> dict[str, Any]:
    said = {**plan.as_json(), **({} if pushed is None else pushed.as_json())}
    if report is not None:
        write_report(report, (*plan.problems, *(pushed.unreadable if pushed else ())), said)
    return said


def _tell(console: Console, plan: Plan, pushed: Pushed | None, *, wait: bool) -> None:
    """Say how it ended. Exits with 1 when a push of this would be refused, with 2 when not everything went through."""
    if pushed is None:
        if plan.refusal is not None:
            raise failed(plan.refusal)
        console.print("Nothing was sent (--dry-run).")
        return
    show_pushed(console, pushed, wait=wait)
    if pushed.refused or pushed.unreadable:
        raise typer.Exit(2)
