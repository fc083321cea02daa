"""How the stages are shown: a table that moves on a terminal, lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from labelstream_cli.demo.stages import Row

_SPEAKS = "training"  # the stage whose every word is worth a line


class Display(Protocol):
    """Shows the stages."""

    def show(self, rows: Sequence[Row]) -> None:
        """Show how they stand now."""
        ...


class Silent:
    """Shows nothing."""

    def show(self, rows: Sequence[Row]) -> None:
        """Show nothing."""


class Lines:
    """Prints a line when a stage ends, and for each epoch."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said: set[str] = set()

    def show(self, rows: Sequence[Row]) -> None:
        """Print what is new."""
        for row in rows:
            if row.standing == "done":
                self._say(f"{row.stage:9} {row.said}", f" ({row.seconds} s)")
            elif row.standing == "runs" and row.stage == _SPEAKS:
                self._say(f"{row.stage:9} {row.said}", "")

    def _say(self, line: str, more: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self._console.print(f"{line}{more}", markup=False, highlight=False, soft_wrap=True)


class Moving:
    """Redraws a table in place."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._spinner = Spinner("dots", style="cyan")  # one for all redraws, or it would not turn

    def show(self, rows: Sequence[Row]) -> None:
        """Redraw the table."""
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), expand=True)
        table.add_column(width=2)
        table.add_column(width=9)
        table.add_column(ratio=1, overflow="fold")
        table.add_column(justify="right", width=8)
        for row in rows:
            seconds = "" if row.seconds is None else f"{row.seconds:.0f} s"
            if row.standing == "runs":
                table.add_row(self._spinner, Text(row.stage, "bold"), row.said, seconds)
            else:
                done = row.standing == "done"
                mark = Text("✓", "green") if done else Text("·", "dim")
                table.add_row(mark, Text(row.stage, "" if done else "dim"), row.said, Text(seconds, "dim"))
        self._live.update(table)


@contextmanager
def displayed(console: Console, *, quiet: bool) -> Iterator[Display]:
    """Give the display that fits where the output goes."""
    if quiet:
        yield Silent()
    elif console.is_terminal:
        with Live(console=console, refresh_per_second=8) as live:
            yield Moving(live)
    else:
        yield Lines(console)
