"""labelstream devices list."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from labelstream.access import Device
from labelstream_cli.access.audit_log import last_fetches
from labelstream_cli.access.options import After, Limit
from labelstream_cli.access.place import AccessPlace, at_access
from labelstream_cli.access.records import DEVICES, Page, read_page
from labelstream_cli.access.words import beyond, state_of
from labelstream_cli.datasets.tables import plain_table
from labelstream_cli.jobs.options import Url
from labelstream_cli.jobs.place import Where
from labelstream_cli.jobs.words import moment
from labelstream_cli.running import Directory, Json
from labelstream_local.layout import DEFAULT

Fetches = Annotated[
    bool, typer.Option("--fetches", help="Read the audit log too, and tell when each fetched something last.")
]
_KEY = 16  # characters of a recipient
_WIDE = 100  # characters: there is room for it


def list_devices(
    *,
    after: After = "",
    limit: Limit = 50,
    fetches: Fetches = False,
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List the devices that may fetch models, and those that were revoked, by name.

    Examples:
    - `labelstream devices list`
    - `labelstream devices list --after kiosk-050`
    - `labelstream devices list --limit 0 --json | jq -r '.devices[] | select(.revoked) | .name'`
    """

    async def work(place: AccessPlace) -> tuple[Page[Device], dict[str, int] | None]:
        page = await read_page(place.resources, DEVICES, Device, after, limit)
        return page, await last_fetches(place.place) if fetches else None

    page, fetched = at_access(Where(directory, url, quiet=as_json), work)
    if as_json:
        found = [_as_json(device, fetched) for device in page.records]
        rest = {"unreadable": page.unreadable, "more": page.more, "next": page.last if page.more else None}
        typer.echo(json.dumps({"devices": found, **rest}))
    elif page.records or page.unreadable:
        show_devices(page, fetched, Console(highlight=False))
    else:
        typer.echo("There is no device: `labelstream devices add` adds one." if not after else "There is no more.")


def show_devices(page: Page[Device], fetched: Mapping[str, int] | None, console: Console) -> None:
    """Print devices, one a line."""
    is_wide = console.width >= _WIDE
    columns = {"device": True, "recipient": is_wide, "projects": True, "grants": True, "fetched": fetched is not None}
    table = plain_table(*(name for name, is_shown in columns.items() if is_shown), "")
    for column in table.columns[:-1]:
        column.no_wrap = column.header != "projects"
    for device in page.records:
        cells = {
            "device": device.name,
            "recipient": f"{device.recipient[:_KEY]}…",
            "projects": ", ".join(device.projects) if device.projects is not None else "all",
            "grants": f"{device.grant_days:g} d" if device.grant_days else "for ever",
            "fetched": _last(device, fetched or {}),
        }
        shown = (escape(cell) for name, cell in cells.items() if columns[name])
        table.add_row(*shown, state_of(device))
    console.print(table)
    beyond(page, "devices", console)


def _last(device: Device, fetched: Mapping[str, int]) -> str:
    return moment(fetched[device.name]) if device.name in fetched else "-"


def _as_json(device: Device, fetched: Mapping[str, int] | None) -> dict[str, Any]:
    told = device.model_dump(mode="json", exclude={"token_sha256"})
    return told if fetched is None else {**told, "fetched_ms": fetched.get(device.name)}
