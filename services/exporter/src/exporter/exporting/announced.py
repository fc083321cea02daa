"""Who is there to build which formats, and for how long nobody has been.

Silence counts only while we could listen: after an outage of the store, workers get their time to announce
themselves again before anybody says that there are none.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from labelstream.blobs.ports import Blobs
from labelstream.exports import Announcement, announcements, who_builds

LOOK_EVERY_S = 2.0
DEAF_S = 60.0  # who did not listen for so long begins anew: announcements lapse about as fast


@dataclass
class Announced:
    """What the export workers announce."""

    blobs: Blobs
    absent_s: float  # a queue that nobody announced for so long has no worker
    now: Callable[[], float] = time.monotonic
    there: tuple[Announcement, ...] = ()
    _looked_at: float | None = None
    _listening_since: float = 0.0
    _seen: dict[str, float] = field(default_factory=dict)  # queue → when somebody took its jobs last

    async def look(self) -> None:
        """Read what is announced, if that is due. Raises Unavailable."""
        now = self.now()
        if self._looked_at is None or now - self._looked_at > DEAF_S:
            self._listening_since = now
        elif now - self._looked_at < LOOK_EVERY_S:
            return
        self.there = await announcements(self.blobs)
        self._looked_at = now
        for said in self.there:
            self._seen.update((one.queue, now) for one in said.capabilities)

    def workers(self, queue: str) -> tuple[str, ...]:
        """Return who takes the jobs of a queue."""
        return who_builds(queue, self.there)

    def silent_s(self, queue: str) -> float:
        """Return for how long nobody was there for a queue, as far as we listened."""
        since = max(self._listening_since, self._seen.get(queue, self._listening_since))
        return 0.0 if self.workers(queue) else (self._looked_at or since) - since

    def has_none(self, queue: str) -> bool:
        """Say whether a queue has no worker."""
        return not self.workers(queue) and self.silent_s(queue) >= self.absent_s
