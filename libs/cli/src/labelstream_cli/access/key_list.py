"""labelstream keys list."""

from __future__ import annotations

import json

import typer
from rich.console import Console
from rich.markup import escape

from labelstream.access import ApiKey
from labelstream_cli.access.options import After, Limit
from labelstream_cli.access.place import AccessPlace, at_access
from labelstream_cli.access.records import KEYS, Page, read_page
from labelstream_cli.access.words import beyond, ending, now_ms, state_of
from labelstream_cli.datasets.tables import plain_table
from labelstream_cli.jobs.options import Url
from labelstream_cli.jobs.place import Where
from labelstream_cli.running import Directory, Json
from labelstream_local.layout import DEFAULT


def list_keys(
    *, after: After = "", limit: Limit = 50, directory: Directory = DEFAULT, url: Url = None, as_json: Json = False
) -> None:
    """List the API keys, and those that were revoked or have expired, by name.

    The id is the middle of the key, `lsk_<id>_…`: logs and metrics of inference call a key by it.

    Examples:
    - `labelstream keys list`
    - `labelstream keys list --json | jq -r '.keys[] | select(.revoked == null) | .id'`
    """

    async def work(place: AccessPlace) -> Page[ApiKey]:
        return await read_page(place.resources, KEYS, ApiKey, after, limit)

    page = at_access(Where(directory, url, quiet=as_json), work)
    if as_json:
        found = [key.model_dump(mode="json", exclude={"secret_sha256"}) for key in page.records]
        rest = {"unreadable": page.unreadable, "more": page.more, "next": page.last if page.more else None}
        typer.echo(json.dumps({"keys": found, **rest}))
    elif page.records or page.unreadable:
        show_keys(page, Console(highlight=False))
    else:
        typer.echo("There is no API key: `labelstream keys add` adds one." if not after else "There is no more.")


def show_keys(page: Page[ApiKey], console: Console) -> None:
    """Print keys, one a line."""
    table = plain_table("key", "id", "projects", "a minute", "")
    for column in table.columns[:4]:
        column.no_wrap = column.header != "projects"
    now = now_ms()
    for key in page.records:
        projects = ", ".join(key.projects) if key.projects is not None else "all"
        often = f"{key.per_minute:,}" if key.per_minute else "any"
        table.add_row(escape(key.name), key.id, escape(projects), often, _standing(key, now))
    console.print(table)
    beyond(page, "keys", console)


def _standing(key: ApiKey, now: int) -> str:
    """Tell how a key ended, or since when it counts and until when; with markup."""
    if key.revoked is not None or key.expires_ms is None:
        return state_of(key)
    ends = ending(key.expires_ms)
    return f"{ends}, {state_of(key)}" if key.is_live(now) else f"[yellow]{ends}[/], {state_of(key)}"
