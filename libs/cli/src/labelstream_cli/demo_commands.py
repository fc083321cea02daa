"""labelstream demo: from annotations to served detections."""

from __future__ import annotations

import json
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from labelstream_cli.demo.course import Demonstration, write_report
from labelstream_cli.demo.display import displayed
from labelstream_cli.demo.plan import Plan, plan_photos, plan_scenes
from labelstream_cli.demo.stages import Course
from labelstream_cli.running import TELLS, CommandFailed, Directory, Json, failed, run
from labelstream_cli.stack_commands import up_with_progress
from labelstream_local.compose import DIRECTORY, attached
from labelstream_local.layout import DEFAULT
from labelstream_local.stack import Stack, down


class Against(StrEnum):
    """What a demonstration can run on, beside a stack of its own."""

    COMPOSE = "compose"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(_demo)


def _demo(
    data: Annotated[
        Path | None,
        typer.Option(help="Photographs with annotations (YOLO, COCO or PASCAL VOC) instead of drawn scenes."),
    ] = None,
    splits: Annotated[
        Path | None,
        typer.Option(help="Published lists (train.txt, val.txt, test.txt); default: those beside the data."),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the stack running.", envvar="KEEP")] = False,
    against: Annotated[
        Against | None,
        typer.Option(
            help="Run on a compose project that is up (deploy/compose/demo.yml) instead of the embedded stack."
        ),
    ] = None,
    patience: Annotated[float, typer.Option(help="Minutes without any event after which it gives up.", min=0.1)] = 8.0,
    directory: Directory = DEFAULT,
    as_json: Json = False,
    shuffle_labels: Annotated[
        bool,
        typer.Option("--shuffle-labels", hidden=True, help="The control: labels that nothing can be learned from."),
    ] = False,
) -> None:
    """Show the whole path: annotations in, a proven model out, detections from it over HTTP.

    Draws small scenes (or reads your photographs), pushes them over the stream, follows every stage, waits for the
    model and asks it about images that no training saw. Writes `demo/detections.png` and `demo/report.json` into
    the stack's directory, and stops the stack again if it started it.

    Examples:
    - `labelstream demo`
    - `labelstream demo --keep`, then `labelstream status` and `labelstream predict photo.jpg`
    - `labelstream demo --data photos/ --splits photos/lists --json`
    - `labelstream demo --against compose`
    """
    began = time.monotonic()
    if against and directory == DEFAULT:
        directory = DIRECTORY
    root = directory / "demo"
    (root / "report.json").unlink(missing_ok=True)  # an old one must not pass for this run's
    course = Course()
    try:
        with course.stage("data"):
            plan = plan_photos(root, data, splits) if data else plan_scenes(root, shuffle_classes=shuffle_labels)
        course.images = len(plan.imported)
        course.said["data"] = _said_of(plan)
        with course.stage("stack"):
            stack = (
                _attached(directory, plan) if against else up_with_progress(directory, plan.options(), quiet=as_json)
            )
    except (*TELLS, CommandFailed) as problem:
        raise failed(problem) from problem
    course.said["stack"] = "it runs already" if stack.was_running else "everything answers"
    try:
        report = _show(plan, stack, course, patience, quiet=as_json)
    finally:
        if not keep and not stack.was_running:
            down(directory)
    course.seconds["total"] = round(time.monotonic() - began, 1)
    path = write_report(report, root)
    stops = "docker compose down" if stack.record.compose else "labelstream down"
    _tell(report, path, stops=stops if keep or stack.was_running else "", as_json=as_json)


def _attached(directory: Path, plan: Plan) -> Stack:
    """Return the compose project as a stack. Raises StartFailed, CommandFailed when it does not serve the data."""
    stack = attached(directory)
    if plan.project not in stack.record.projects:
        raise CommandFailed(
            f"the compose project serves {', '.join(stack.record.projects)} and not {plan.project}: start it with "
            "`docker compose -f docker-compose.yml -f deploy/compose/demo.yml up --wait` for the drawn scenes, "
            "and with such a file of your own for your own data"
        )
    return stack


def _show(plan: Plan, stack: Stack, course: Course, patience: float, *, quiet: bool) -> dict[str, Any]:
    with displayed(Console(), quiet=quiet) as display:
        return run(_explained(Demonstration(plan, stack, display, course, patience * 60)))


async def _explained(demonstration: Demonstration) -> dict[str, Any]:
    try:
        return await demonstration.run()
    except (*TELLS, CommandFailed) as problem:
        stack = demonstration.stack
        where = (
            "`docker compose logs` shows the logs" if stack.record.compose else f"The logs are in {stack.layout.logs}"
        )
        raise CommandFailed(f"{problem}\n{where}") from problem


def _said_of(plan: Plan) -> str:
    imported = plan.imported
    boxes = sum(len(image.boxes) for image in imported)
    left_out = f"; {len(imported.problems)} left out: {imported.problems[0]}" if imported.problems else ""
    return f"{len(imported)} images, {boxes} boxes of {len(imported.classes)} classes ({imported.form}){left_out}"


def _tell(report: dict[str, Any], path: Path, *, stops: str, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report))
        return
    typer.echo(
        f"\nmAP50 {report['map50']:.3f} on {report['test_images']} test images, in {report['seconds']['total']:.0f} s"
    )
    typer.echo(f"  {path.with_name('detections.png')}\n  {path}")
    if stops:
        typer.echo(f"The stack still runs: `labelstream status` shows it, `{stops}` stops it.")
