"""labelstream users list."""

from __future__ import annotations

import json

import typer
from rich.console import Console
from rich.markup import escape

from labelstream.access import User
from labelstream_cli.access.options import After, Limit
from labelstream_cli.access.place import AccessPlace, at_access
from labelstream_cli.access.records import USERS, Page, read_page
from labelstream_cli.access.words import beyond, state_of
from labelstream_cli.datasets.tables import plain_table
from labelstream_cli.jobs.options import Url
from labelstream_cli.jobs.place import Where
from labelstream_cli.running import Directory, Json
from labelstream_local.layout import DEFAULT

_SECRET = {"password_hash", "email_sha256"}


def list_users(
    *, after: After = "", limit: Limit = 50, directory: Directory = DEFAULT, url: Url = None, as_json: Json = False
) -> None:
    """List the people who may log in, and those who were revoked, by name.

    Examples:
    - `labelstream users list`
    - `labelstream users list --json | jq -r '.users[] | select(.may_upload) | .name'`
    """

    async def work(place: AccessPlace) -> Page[User]:
        return await read_page(place.resources, USERS, User, after, limit)

    page = at_access(Where(directory, url, quiet=as_json), work)
    if as_json:
        found = [user.model_dump(mode="json", exclude=_SECRET) for user in page.records]
        rest = {"unreadable": page.unreadable, "more": page.more, "next": page.last if page.more else None}
        typer.echo(json.dumps({"users": found, **rest}))
    elif page.records or page.unreadable:
        show_users(page, Console(highlight=False))
    else:
        typer.echo("There is nobody: `labelstream users add` adds somebody." if not after else "There is no more.")


def show_users(page: Page[User], console: Console) -> None:
    """Print people, one a line."""
    table = plain_table("user", "may", "projects", "")
    for user in page.records:
        projects = ", ".join(user.projects) if user.projects is not None else "all"
        table.add_row(
            escape(user.name), "fetch, upload" if user.may_upload else "fetch", escape(projects), state_of(user)
        )
    console.print(table)
    beyond(page, "users", console)
