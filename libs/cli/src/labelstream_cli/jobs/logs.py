"""labelstream jobs logs: what a worker says while it trains."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from labelstream.errors import Unavailable
from labelstream.trainings import JobState
from labelstream_cli.jobs.book import chosen, live_at, read_book
from labelstream_cli.jobs.facts import reason
from labelstream_cli.jobs.log_reading import LogPrinter, LogReader
from labelstream_cli.jobs.options import Newest, Url
from labelstream_cli.jobs.place import Place, Where, at_place
from labelstream_cli.jobs.words import SHORT
from labelstream_cli.running import ERRORS, CommandFailed, Directory
from labelstream_local.layout import DEFAULT

Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on until the training has ended.")]
OfAttempt = Annotated[int | None, typer.Option("--attempt", min=1, help="Of this attempt; default: the newest.")]


def show_logs(
    *,
    job: Newest = None,
    follow: Follow = False,
    attempt: OfAttempt = None,
    directory: Directory = DEFAULT,
    url: Url = None,
) -> None:
    """Print what a worker says while it trains: the end of its log, up to a megabyte.

    `--follow` goes on until the training has ended, also when another worker takes it over; it may be typed while
    the training still waits for a worker.

    Examples:
    - `labelstream jobs logs`
    - `labelstream jobs logs -f`
    - `labelstream jobs logs 3fa9 --attempt 1`
    """
    if follow and attempt is not None:
        raise typer.BadParameter("--follow follows the newest attempt: leave out --attempt")
    where = Where(directory, url, quiet=follow)
    at_place(where, lambda place: follow_log(place, job) if follow else _print_log(place, job, attempt))


async def _print_log(place: Place, told: str | None, attempt: int | None) -> None:
    state = chosen(await read_book(place), told)
    wanted = attempt or state.attempt
    if wanted > state.attempt or not wanted:
        raise CommandFailed(_no_attempt(state))
    reader = LogReader(place.blobs, state.project, state.job, wanted)
    printer = LogPrinter(raw=sys.stdout.isatty())
    printer.add(await reader.more())
    printer.end()
    if not reader.found:
        raise CommandFailed(f"attempt {wanted} at {state.job[:SHORT]} has left no log")


def _no_attempt(state: JobState) -> str:
    if state.attempt:
        return f"{state.job[:SHORT]} had {state.attempt} attempts so far"
    said = f" ({reason(state)})" if reason(state) else ""
    return f"no worker has begun with {state.job[:SHORT]}: it is {state.state}{said}"


async def follow_log(place: Place, told: str | None, wait_s: float = 1.0) -> None:
    """Print a job's log as it grows, until the job has ended."""
    async with live_at(place) as live:
        following = _Following(place, chosen(live.book, told))
        while not await following.ended():
            await live.more(wait_s)


class _Following:
    """Prints what is new of one job's log, and says on standard error what happens around it."""

    def __init__(self, place: Place, state: JobState) -> None:
        self._place = place
        self._state = state
        self._reader: LogReader | None = None
        self._printer = LogPrinter(raw=sys.stdout.isatty())
        self._said = ""

    async def ended(self) -> bool:
        """Print what is new; say whether nothing more will come."""
        state = self._state
        over = state.ended is not None  # asked before the log is read: so its last lines are
        if not state.attempts and not over:
            self._say(f"{state.job[:SHORT]} waits for a free worker.")
        try:
            await self._print()
        except Unavailable as error:
            self._say(f"{error}; trying again.")
            return False
        if over:
            self._printer.end()
            said = f": {reason(state)}" if reason(state) else ""
            self._say(f"{state.job[:SHORT]} is {state.state}{said}")
        return over

    async def _print(self) -> None:
        state, reader = self._state, self._reader
        if state.attempts and (reader is None or reader.attempt != state.attempt):
            if reader is not None:
                self._printer.add(await reader.more())
                self._printer.end()
            self._say(f"Attempt {state.attempt}, by {state.worker}:")
            self._reader = reader = LogReader(self._place.blobs, state.project, state.job, state.attempt)
        if reader is not None:
            self._printer.add(await reader.more())

    def _say(self, what: str) -> None:
        """Say it once."""
        if what != self._said:
            ERRORS.print(what, markup=False, style="dim", soft_wrap=True)
        self._said = what
