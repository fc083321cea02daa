"""labelstream push: a folder of annotated images onto the stream."""

from __future__ import annotations

import fcntl
import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from labelstream.producer import Producer, broker_settings
from labelstream.service.settings import BrokerSettings
from labelstream.values import digest_of
from labelstream_cli.importers import ImportedFolder, Problem, read_folder
from labelstream_cli.pushing import Pushed, Refused, Told, follow_receipts, publish
from labelstream_cli.running import ERRORS, TELLS, CommandFailed, Directory, Json, failed, run, running_stack
from labelstream_local.layout import DEFAULT

_SHOWN = 10  # of a long list
_NAME = "labelstream-push"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("push")(_push)


def _push(
    folder: Annotated[Path, typer.Argument(help="Images with annotations in YOLO, COCO or PASCAL VOC form.")],
    splits: Annotated[
        Path | None, typer.Option(help="A directory with published lists: train.txt, val.txt, test.txt.")
    ] = None,
    stream: Annotated[
        str, typer.Option(help="The input stream; it decides the project and what its producers may do.")
    ] = "annotations",
    directory: Directory = DEFAULT,
    url: Annotated[
        str | None,
        typer.Option(help="Another broker: rabbitmq-stream://user:password@host:5552/vhost", envvar="LABELSTREAM_URL"),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow until each message has its receipt.")] = False,
    as_json: Json = False,
) -> None:
    """Publish a folder of annotated images over the stream, as any producer would.

    The form is detected. Boxes without area or outside the image are left out and reported. Whatever stops it,
    it can simply be repeated: what is there already is receipted as duplicated.

    A file media.csv in the folder (first line: image,medium) says which photo or video an image came from; images of
    one medium land in one split. Without it, each image is a medium of its own.

    Examples:
    - `labelstream push photos/ --wait`
    - `labelstream push VOC2007/ --splits VOC2007/ImageSets/Main`
    - `labelstream push photos/ --stream trusted --url rabbitmq-stream://me:secret@broker:5552/vhost --json`
    """
    try:
        imported = read_folder(folder, splits)
    except TELLS as problem:
        raise failed(problem) from problem
    if not as_json:
        typer.echo(f"{imported.form}: {len(imported)} images, {len(imported.classes)} classes")
        _tell_problems("left out", imported.problems)
    if not imported.images:
        raise failed(f"there are no annotated images in {folder}")
    pushed = run(_work(imported, stream, directory, url, wait=wait, quiet=as_json))
    if as_json:
        typer.echo(json.dumps({"form": imported.form, "images": len(imported), **pushed.as_json(),
                               "left_out": [vars(problem) for problem in imported.problems]}))  # fmt: skip
    else:
        _tell(pushed, wait=wait)
    if pushed.refused or pushed.unreadable:
        raise typer.Exit(2)


async def _work(
    imported: ImportedFolder, stream: str, directory: Path, url: str | None, *, wait: bool, quiet: bool
) -> Pushed:
    settings = _broker(directory, url)
    with _alone(settings, stream), _bars(len(imported), wait=wait, quiet=quiet) as told:
        async with Producer.connect(settings, stream, _NAME, receipts=wait) as producer:
            pushed = await publish(producer, imported, told)
            if wait:
                await follow_receipts(producer, pushed, told)
    return pushed


def _broker(directory: Path, url: str | None) -> BrokerSettings:
    if url is not None:
        return broker_settings(url)
    try:
        return running_stack(directory).broker
    except CommandFailed as error:
        raise CommandFailed(f"{error}\nOr name another broker with --url.") from error


@contextmanager
def _alone(settings: BrokerSettings, stream: str) -> Iterator[None]:
    """Hold off a second push to the same stream: the broker takes one writer of a publisher name at a time."""
    where = digest_of([settings.host, settings.stream_port, settings.vhost, stream])[:16]
    with (Path(tempfile.gettempdir()) / f"labelstream-push-{where}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CommandFailed(f"another push to {stream!r} runs on this machine: wait until it has ended") from error
        yield


@contextmanager
def _bars(total: int, *, wait: bool, quiet: bool) -> Iterator[Told]:
    columns = (TextColumn("{task.description:10}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=ERRORS, disable=quiet) as progress:
        kinds = ("sent", "confirmed", *(("receipts",) if wait else ()))
        tasks = {kind: progress.add_task(kind, total=total) for kind in kinds}

        def told(kind: str, count: int) -> None:
            progress.update(tasks[kind], completed=count)

        yield told


def _tell(pushed: Pushed, *, wait: bool) -> None:
    typer.echo(f"{pushed.sent} sent, {pushed.confirmed} confirmed by the broker")
    _tell_problems("not sent", pushed.unreadable)
    if wait:
        counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(pushed.receipts.items()))
        typer.echo(f"receipts: {counts or 'none'}")
        _tell_refused(pushed.refused)
    else:
        typer.echo("`--wait` would have shown their receipts; `labelstream status` shows how far the services are.")


def _tell_refused(refused: list[Refused]) -> None:
    for one in refused[:_SHOWN]:
        Console(highlight=False).print(f"  {one.name}: {one.rule}: {one.reason}\n    {one.hint}", markup=False)
    if len(refused) > _SHOWN:
        typer.echo(f"  … and {len(refused) - _SHOWN} more; --json names all")


def _tell_problems(what: str, problems: Iterable[Problem]) -> None:
    problems = list(problems)
    for problem in problems[:_SHOWN]:
        typer.echo(f"  {what}: {problem}")
    if len(problems) > _SHOWN:
        typer.echo(f"  {what}: … and {len(problems) - _SHOWN} more; --json names all")
