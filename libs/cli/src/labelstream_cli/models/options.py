"""What the commands about models are told."""

from __future__ import annotations

from typing import Annotated

import typer

MEANT = "A model, by at least 4 digits of its id, or `serving`"

ModelId = Annotated[str, typer.Argument(metavar="MODEL", help=f"{MEANT}.", show_default=False)]
OfProject = Annotated[str | None, typer.Option(help="Only this project's; default: all.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Don't wait for the exporter's answer.")]
