"""What is done to somebody's access is said in the audit log."""

from __future__ import annotations

import time
from typing import Protocol

from labelstream.events.access import AccessEvent


class Say(Protocol):
    """The audit log's one writer."""

    async def __call__(self, event: AccessEvent, project: str, *, answers: str) -> object:
        """Store an event, and return when it was read back; what `answers` the same is the same event.

        Raises Unavailable.
        """
        ...


def now_ms() -> int:
    """Return the time, as events tell it."""
    return int(time.time() * 1000)
