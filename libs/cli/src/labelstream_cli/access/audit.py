"""labelstream devices audit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from labelstream.events.access import AccessEvent, AccessRefused, AccessRevoked
from labelstream_cli.access.audit_log import Entry, read_log
from labelstream_cli.access.options import Limit
from labelstream_cli.datasets.tables import plain_table
from labelstream_cli.jobs.options import Url
from labelstream_cli.jobs.place import Where, at_place
from labelstream_cli.jobs.words import moment
from labelstream_cli.parked.reading import since_ms
from labelstream_cli.running import Directory, Json
from labelstream_local.layout import DEFAULT

Whose = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME", help="Only this device's, person's or key's; default: everybody's.", show_default=False
    ),
]
Since = Annotated[str | None, typer.Option(help="Since then: 30m, 2h, 3d, or a date.")]


def show_audit(
    *,
    name: Whose = None,
    since: Since = None,
    limit: Limit = 50,
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show the audit log: who was let in or revoked, by whom and why, who fetched what, and who was turned away.

    The newest are shown, the newest last.

    Examples:
    - `labelstream devices audit`
    - `labelstream devices audit kiosk --since 7d`
    - `labelstream devices audit --limit 0 --json | jq '.entries[] | select(.type == "resource.fetched")'`
    """
    try:
        began_ms = 0 if since is None else since_ms(since)
    except ValueError as error:
        raise typer.BadParameter(f"--since {since}: {error}") from error
    log = at_place(Where(directory, url, quiet=as_json), lambda place: read_log(place, name, began_ms, limit))
    if as_json:
        typer.echo(json.dumps({"entries": [entry.as_json() for entry in log.entries], "more": log.more}))
    elif log.entries:
        show_entries(log.entries, log.more, Console(highlight=False))
    else:
        of = f" of {name}" if name else ""
        typer.echo(f"The audit log says nothing{of}{f' since {since}' if since else ''}.")


def show_entries(entries: Sequence[Entry], more: int, console: Console) -> None:
    """Print entries, one a line; `more` older ones are not shown."""
    if more:
        console.print(f"[dim]{more:,} older: --limit shows more[/]")
    table = plain_table("time", "who", "", "what")
    for column in table.columns[:3]:
        column.no_wrap = True
    for entry in entries:
        kind = "" if entry.kind == "unknown" else entry.kind
        what = f"[{_style(entry.event)}]{escape(entry.what)}[/]"
        table.add_row(moment(entry.time_ms), escape(entry.name) or "-", f"[dim]{kind}[/]", what)
    console.print(table)


def _style(event: AccessEvent) -> str:
    return "yellow" if isinstance(event, AccessRefused | AccessRevoked) else "default"
