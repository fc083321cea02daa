"""labelstream annotate: a model annotates images, for people to validate."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from labelstream_cli.annotate.asking import annotate
from labelstream_cli.annotate.browse import cancel_annotating, list_annotating, show_annotating

_ASK = "FOLDER"


class _Asking(TyperGroup):
    """A group in which what is no command is a folder: `annotate photos/` means `annotate FOLDER photos/`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Let everything else be the arguments of asking; `./list` is a folder of that name."""
        own = (*self.commands, *ctx.help_option_names)
        return super().parse_args(ctx, args if not args or args[0] in own else [_ASK, *args])


def register(app: typer.Typer) -> None:
    """Add the commands."""
    told = "Let a model annotate images, for people to validate: ask for it, list, show and cancel such jobs."
    group = typer.Typer(cls=_Asking, no_args_is_help=True, help=told)
    group.command(_ASK, help=None)(annotate)
    group.command("list")(list_annotating)
    group.command("show")(show_annotating)
    group.command("cancel")(cancel_annotating)
    app.add_typer(group, name="annotate")
