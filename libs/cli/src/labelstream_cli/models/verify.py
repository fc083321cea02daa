"""labelstream models verify: check a pulled model, or a bundle alone, without a network."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from labelstream.bundle import MANIFEST, SIGNATURE
from labelstream.classes import load_schema
from labelstream.errors import Misconfigured, Rejected
from labelstream.protection.checking import Checked, Outcome, Trust, checked
from labelstream.protection.pulled import Pulled
from labelstream_cli.models.trusting import Identity, Schema, read_identity
from labelstream_cli.running import Json, failed

_MARKS: dict[Outcome, str] = {"passed": "[green]✓[/]", "failed": "[red]✗[/]", "skipped": "[dim]–[/]"}

Keys = Annotated[
    list[Path],
    typer.Option(
        "--key", metavar="PUB", help="A public signing key (PEM) that is trusted; may stand several times.", min=1
    ),
]


def verify_model(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="What was pulled, or a bundle.", show_default=False)],
    key: Keys,
    identity: Identity = None,
    above: Annotated[
        int, typer.Option(min=0, metavar="N", help="Refuse a promotion whose number is not above this.")
    ] = 0,
    class_schema: Schema = None,
    as_json: Json = False,
) -> None:
    """Check a model that was pulled, or a bundle, without a network.

    The signature over every file, the manifest, the promotion; with the device's identity also the grant, and that
    each artifact opens and is what the manifest says. Nothing that is opened is kept. The exit code is 1 when a check
    failed.

    - `labelstream models verify edge/ --key signing-key.pub.pem --identity kiosk-7.age-identity`
    """
    console = Console(highlight=False)
    try:
        found = checked(directory, _trust(directory, key, identity, above, class_schema), now_ms=_now_ms())
    except (Misconfigured, Rejected) as problem:
        raise failed(problem) from problem
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=2, ensure_ascii=False))
    else:
        _show(found, console)
    if not found.ok:
        raise typer.Exit(1)


def _trust(directory: Path, keys: list[Path], identity: Path | None, above: int, schema: Path | None) -> Trust:
    if not directory.is_dir():
        raise Misconfigured(f"there is no directory {directory}")
    return Trust(
        tuple(keys),
        read_identity(identity) if identity else None,
        above,
        load_schema(schema) if schema else None,
    )


def _show(found: Checked, console: Console) -> None:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for check in found.checks:
        detail = escape(check.detail)
        if check.outcome == "failed":
            detail = f"[red]{escape(str(check.rule))}[/]: {detail}\n[dim]{escape(str(check.hint))}[/]"
        elif check.outcome == "skipped":
            detail = f"[dim]{detail}[/]"
        table.add_row(_MARKS[check.outcome], check.name, detail)
    console.print(table)
    if found.ok and found.key is not None:
        console.print("[green]What was checked is what its makers signed.[/]")
        console.print("The standard command checks the signature too:", style="dim")
        console.print(_standard_command(found.directory, found.key), style="dim", markup=False, soft_wrap=True)
    else:
        console.print("[red]Don't use this model.[/]")


def _standard_command(directory: Path, key: Path) -> str:
    bundle = directory if (directory / MANIFEST).exists() else Pulled(directory).bundle
    return (
        f"  python -m model_signing verify key {bundle} --signature {bundle / SIGNATURE} "
        f"--public_key {key} --no-ignore-git-paths"
    )


def _now_ms() -> int:
    return int(time.time() * 1000)
