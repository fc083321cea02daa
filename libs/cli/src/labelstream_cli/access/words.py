"""How devices, people and API keys are told of on a terminal."""

from __future__ import annotations

import time

from rich.console import Console
from rich.markup import escape

from labelstream.access import ApiKey, Device, User
from labelstream_cli.access.records import Page, R
from labelstream_cli.jobs.words import moment


def state_of(record: Device | User | ApiKey) -> str:
    """Tell since when somebody may, or that they may no longer; with markup."""
    ended = record.revoked
    if ended is not None:
        by = f" by {ended.by}" if ended.by else ""
        when = f" {moment(ended.at_ms)}" if ended.at_ms else ""
        return f"[yellow]revoked{when}{escape(by)}: {escape(ended.why)}[/]"
    added = f"added {moment(record.added_ms)}" if record.added_ms else "added"
    return escape(f"{added} by {record.added_by}" if record.added_by else added)


def ending(expires_ms: int) -> str:
    """Tell until when something counts, or that its time is over."""
    return f"{'until' if expires_ms > now_ms() else 'expired'} {moment(expires_ms)}"


def now_ms() -> int:
    """Return the time, as records tell it."""
    return int(time.time() * 1000)


def beyond(page: Page[R], kind: str, console: Console) -> None:
    """Print what a page does not show."""
    for name in page.unreadable:
        console.print(
            f"[red]{escape(name)}[/]: its record can't be read; `labelstream {kind} add --replace` writes it."
        )
    if page.more:
        console.print(f"[dim]and {page.more:,} more: --after {escape(page.last)} shows them[/]")
