"""labelstream users: people who log in to the public API."""

from __future__ import annotations

import typer

from labelstream_cli.access.revoking import revoke_user
from labelstream_cli.access.user_adding import add_user
from labelstream_cli.access.user_list import list_users


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="People who may log in to the public API: add, list, revoke.")
    group.command("add")(add_user)
    group.command("list")(list_users)
    group.command("revoke")(revoke_user)
    app.add_typer(group, name="users")
