"""Folding ahead: what a service is about to publish, before the stream has it.

Deciding a batch needs the view as it will be after each of its messages. That state is kept in a savepoint,
and is the view's only when the stream turns out to say the same.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from dataclasses import dataclass, field

from labelstream.events.envelope import Envelope

Before = tuple[int | None, str | None, int]  # position, tail, and how many events were not committed


@dataclass
class Foreseen:
    """Events that were folded ahead; at most one batch at a time."""

    connection: sqlite3.Connection
    begun: bool = False  # something is folded that was not read back
    _open: bool = False  # more is being foreseen
    _before: Before = (None, None, 0)
    _expected: deque[tuple[int, Envelope]] = field(default_factory=deque)
    _came: list[tuple[int, Envelope]] = field(default_factory=list)

    @property
    def waiting(self) -> bool:
        """Whether everything is foreseen, and is now to be confirmed by the stream."""
        return self.begun and not self._open

    def begin(self, before: Before) -> None:
        """Fold ahead from here on."""
        if self.begun:
            raise RuntimeError("what was foreseen before was not read back yet")
        if not self.connection.in_transaction:
            self.connection.execute("BEGIN")  # releasing an outermost savepoint would commit
        self.connection.execute("SAVEPOINT foreseen")
        self.begun = self._open = True
        self._before = before

    def note(self, offset: int, envelope: Envelope) -> None:
        """Expect an event that was just folded."""
        self._expected.append((offset, envelope))

    def end(self) -> None:
        """Fold ahead no further."""
        self._open = False
        self._keep_if_complete()

    def confirms(self, offset: int, event_id: str) -> bool:
        """Say whether an event of the stream is the next one that was foreseen, and is folded already."""
        if not self.waiting or (self._expected[0][0], self._expected[0][1].id) != (offset, event_id):
            return False
        self._came.append(self._expected.popleft())
        self._keep_if_complete()
        return True

    def undo(self) -> tuple[Before, list[tuple[int, Envelope]]]:
        """Take everything back; return how it was before, and the events that did come."""
        self.connection.execute("ROLLBACK TO foreseen")
        self.connection.execute("RELEASE foreseen")
        came = self._came
        self._clear()
        return self._before, came

    def _keep_if_complete(self) -> None:
        if not self._expected:
            self.connection.execute("RELEASE foreseen")
            self._clear()

    def _clear(self) -> None:
        self.begun = self._open = False
        self._expected, self._came = deque(), []
