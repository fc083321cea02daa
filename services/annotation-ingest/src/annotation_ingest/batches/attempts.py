"""Notes, in a small file, what is being worked on: so that a message that ends the process is found out.

After a death every message that was in flight is a suspect, and is taken alone. A death counts against a
message only when nothing else, of any input, was in flight with it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from labelstream.errors import AnotherWriter, Misconfigured, Unavailable

FILE = "attempts.json"
MOST_DEATHS = 3  # alone; then a message is given up
# What ends the process, or lets it begin anew, and is no message's fault.
INNOCENT = (AnotherWriter, Misconfigured, Unavailable, sqlite3.OperationalError)

log = structlog.get_logger()


class Notes(BaseModel):
    """What the file holds."""

    model_config = ConfigDict(extra="forbid")

    begun: dict[str, int] = Field(default_factory=dict)  # input stream → the last offset that was ever begun
    deaths: dict[str, dict[int, int]] = Field(default_factory=dict)  # input stream → offset → deaths alone


class Attempts:
    """The notes of this process, and what the one before it left."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._notes = _read(self._path)
        self._suspects = dict(self._notes.begun)

    @property
    def any_suspects(self) -> bool:
        """Whether anything was in flight when the process before this one ended."""
        return bool(self._suspects)

    def is_suspect(self, stream: str, offset: int) -> bool:
        """Say whether the message was in flight when a process before this one ended."""
        return offset <= self._suspects.get(stream, -1)

    def deaths(self, stream: str, offset: int) -> int:
        """Return how many processes ended while they worked on this message alone."""
        return self._notes.deaths.get(stream, {}).get(offset, 0)

    def begin(self, stream: str, last: int) -> None:
        """Note that all messages up to `last` are begun. Raises Unavailable when the disk is full."""
        if last > self._notes.begun.get(stream, -1):
            self._notes.begun[stream] = last
            self._write()

    @contextmanager
    def alone(self, stream: str, offset: int) -> Iterator[Self]:
        """Count what ends the process from here on against the message; forget it once it is answered."""
        before = self.deaths(stream, offset)
        self._set(stream, offset, before + 1)
        try:
            yield self
        except (asyncio.CancelledError, *INNOCENT):
            self._set(stream, offset, before)
            raise
        except Exception:
            self._set(stream, offset, before + 1)
            raise
        self.forget(stream, offset)

    def decided(self, stream: str, offset: int) -> None:
        """Count no more against the message: what is left to do is the same for every message.

        Waiting for a broker that is away takes long, and whoever ends the process meanwhile is not the message.
        """
        self._set(stream, offset, self.deaths(stream, offset) - 1)

    def forget(self, stream: str, offset: int) -> None:
        """Drop the deaths of a message that is answered."""
        self._set(stream, offset, 0)

    def stopped(self) -> None:
        """Note that nothing is in flight: the process was told to stop. Suspects stay suspects."""
        self._notes.begun = dict(self._suspects)
        self._write()

    def _set(self, stream: str, offset: int, deaths: int) -> None:
        known = self._notes.deaths.setdefault(stream, {})
        known.pop(offset, None)
        if deaths > 0:
            known[offset] = deaths
        self._write()

    def _write(self) -> None:
        """Replace the file. It is not synced: it is to outlive the process, not the machine."""
        new = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            new.write_text(self._notes.model_dump_json())
            new.replace(self._path)
        except OSError as error:
            raise Unavailable("disk", f"{self._path.name} can't be written: {error.strerror}") from error


def _read(path: Path) -> Notes:
    """Return what a process before this one noted; nothing when that can't be read."""
    try:
        return Notes.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return Notes()
    except (OSError, ValidationError) as error:
        log.warning("attempts.unreadable", path=str(path), reason=str(error))
        return Notes()
