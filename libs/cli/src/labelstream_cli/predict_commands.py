"""labelstream predict: what is in an image."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from labelstream.errors import Misconfigured
from labelstream_cli.pictures import Marked, draw, open_picture
from labelstream_cli.predicting import Answer, ask_about, asking, checked
from labelstream_cli.running import CommandFailed, Directory, Json, failed
from labelstream_local.layout import DEFAULT
from labelstream_local.process import StartFailed
from labelstream_local.stack import load


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("predict")(_predict)


def _predict(  # noqa: PLR0913 -- typer makes an option of each
    images: Annotated[list[Path], typer.Argument(help="Image files.", metavar="IMAGE...")],
    *,
    url: Annotated[
        str | None,
        typer.Option(help="The inference service; default: the embedded stack's.", envvar="LABELSTREAM_INFERENCE_URL"),
    ] = None,
    project: Annotated[str | None, typer.Option(help="Whose model answers.")] = None,
    confidence: Annotated[
        float | None, typer.Option(min=0, max=1, help="Leave out what is less certain; default: the model's.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write pictures with the boxes: a file for one image, or a directory.")
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            help="The API key, where the service wants one. Best in the variable, as others see what you type.",
            envvar="LABELSTREAM_API_KEY",
            metavar="lsk_…",
        ),
    ] = None,
    ca: Annotated[Path | None, typer.Option(metavar="FILE", help="CA file (PEM) of an https service.")] = None,
    directory: Directory = DEFAULT,
    as_json: Json = False,
) -> None:
    """Ask the model in service what is in images.

    Examples:
    - `labelstream predict photo.jpg`
    - `labelstream predict photo.jpg --confidence 0.5 --out found.png`
    - `labelstream predict photos/*.jpg --out found/ --json`
    - `labelstream predict photo.jpg --url http://127.0.0.1:8086`
    """
    try:
        key = checked(api_key)
        with asking(url or _own_url(directory), key, ca) as client:
            answers = [ask_about(client, path, confidence=confidence, project=project) for path in images]
        pictures = write_pictures(answers, out) if out is not None else []
    except (CommandFailed, Misconfigured, OSError) as problem:
        raise failed(problem) from problem
    if as_json:
        typer.echo(json.dumps({"answers": [{"file": one.image, **one.raw} for one in answers], "pictures": pictures}))
    else:
        _show(answers, pictures)


def write_pictures(answers: Iterable[Answer], out: Path) -> list[str]:
    """Draw what was found; return where the pictures lie. Raises CommandFailed."""
    answers = list(answers)
    one_file = len(answers) == 1 and out.suffix != "" and not out.is_dir()
    written = []
    for answer in answers:
        source = Path(answer.image)
        target = out if one_file else out / f"{source.stem}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        marked = [Marked(d.class_id, f"{d.name} {d.confidence:.0%}", d.corners) for d in answer.detections]
        picture = draw(open_picture(source), marked)
        try:
            picture.save(target)
        except (ValueError, OSError) as error:  # a suffix that names no format, a full disk
            raise CommandFailed(f"{target} can't be written: {error}") from error
        written.append(str(target))
    return written


def _own_url(directory: Path) -> str:
    try:
        return load(directory).url("inference")
    except StartFailed as error:
        raise CommandFailed(f"{error}\nOr name an inference service with --url.") from error


def _show(answers: list[Answer], pictures: list[str]) -> None:
    console = Console(highlight=False)
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("image", overflow="fold")
    for title in ("found", "confidence", "box (x1 y1 x2 y2, pixels)"):
        table.add_column(title, no_wrap=True)
    for answer in answers:
        first = answer.image
        for found in answer.detections:
            corners = " ".join(f"{value:.0f}" for value in found.corners)
            table.add_row(first, found.name, f"{found.confidence:.2f}", corners)
            first = ""
        if not answer.detections:
            table.add_row(answer.image, "nothing", "", "")
    console.print(table)
    for answer in answers[:1]:
        console.print(f"model {answer.model}, trained on dataset {answer.dataset[:12]}…")
    for picture in pictures:
        console.print(f"wrote {picture}", markup=False)
