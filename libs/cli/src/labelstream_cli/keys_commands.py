"""labelstream keys: programs that may ask models."""

from __future__ import annotations

import typer

from labelstream_cli.access.key_adding import add_key
from labelstream_cli.access.key_file import export_keys
from labelstream_cli.access.key_list import list_keys
from labelstream_cli.access.revoking import revoke_key


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        no_args_is_help=True, help="API keys, with which programs ask inference: add, list, export, revoke."
    )
    group.command("add")(add_key)
    group.command("list")(list_keys)
    group.command("export")(export_keys)
    group.command("revoke")(revoke_key)
    app.add_typer(group, name="keys")
