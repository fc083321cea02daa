"""What a worker says while it trains: the end of its engine's log, which it copies to the store again and again."""

from __future__ import annotations

from dataclasses import dataclass, field

import typer

from labelstream import keys
from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.trainings import LOG

_KNOWN_BY = 4096  # bytes: so much of what was shown is looked for in a copy that begins later


def unseen(before: bytes, now: bytes) -> tuple[bytes, bool]:
    """Return what a copy of the end of a log has beyond an earlier copy, and whether something between them is lost."""
    if now.startswith(before):
        return now[len(before) :], False
    mark = before[-_KNOWN_BY:]
    at = now.find(mark)
    return (now[at + len(mark) :], False) if at >= 0 else (now, True)


@dataclass
class LogReader:
    """Gives what was added to the log of an attempt since it was last asked."""

    blobs: Blobs
    project: str
    job: str
    attempt: int
    _seen: bytes = b""
    _etag: str = ""
    found: bool = field(default=False, init=False)  # the attempt has left a log

    async def more(self) -> str:
        """Return what is new; empty when nothing is. Raises Unavailable."""
        key = keys.attempt(self.project, self.job, self.attempt, LOG)
        info = await self.blobs.head(key)
        if info is None or info.etag == self._etag:
            return ""
        try:
            blob = await self.blobs.get(key)
        except BlobNotFound:
            return ""
        added, torn = unseen(self._seen, blob.data)
        lost = "…\n" if torn and self.found else ""
        self._seen, self._etag, self.found = blob.data, blob.etag, True
        return lost + added.decode(errors="replace")


@dataclass
class LogPrinter:
    """Prints a log as it comes (`raw`), or only how each line looked in the end: bars are drawn again and again."""

    raw: bool
    _line: str = ""  # that has not ended

    def add(self, text: str) -> None:
        """Print what is new."""
        if self.raw:
            typer.echo(text, nl=False)
            return
        *whole, self._line = (self._line + text).split("\n")
        for line in whole:
            typer.echo(_last_drawn(line))

    def end(self) -> None:
        """Print what is left of the last line."""
        if self._line:
            typer.echo(_last_drawn(self._line))
        self._line = ""


def _last_drawn(line: str) -> str:
    return line.rstrip("\r").rpartition("\r")[2]
