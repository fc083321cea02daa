"""The audit log as its readers want it: each entry once, with who and what."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from labelstream.events.access import (
    AccessEvent,
    AccessGiven,
    AccessRefused,
    AccessRevoked,
    GrantMade,
    ResourceFetched,
    ResourceStored,
)
from labelstream.events.base import ACCESS_EVENTS
from labelstream_cli.jobs.place import Place
from labelstream_cli.reaching import event_in, stored


@dataclass(frozen=True)
class Entry:
    """One entry of the audit log."""

    time_ms: int
    project: str
    event: AccessEvent

    @property
    def name(self) -> str:
        """Whom it is about; empty: nobody is known."""
        return self.event.device if isinstance(self.event, GrantMade) else str(getattr(self.event, "name", ""))

    @property
    def kind(self) -> str:
        """What they are: device, user, key or unknown."""
        if isinstance(self.event, ResourceStored):
            return "user"
        return "device" if isinstance(self.event, GrantMade) else str(getattr(self.event, "kind", "unknown"))

    @property
    def what(self) -> str:
        """What happened, in words."""
        match self.event:
            case AccessGiven() as event:
                return f"{'changed' if event.replaced else 'added'} by {event.by}{_because(event.why)}"
            case AccessRevoked() as event:
                return f"revoked by {event.by}{_because(event.why)}"
            case GrantMade() as event:
                return f"grant of {event.model}"
            case ResourceFetched() as event:
                return f"fetched {event.resource} ({event.size_bytes:,} bytes)"
            case ResourceStored() as event:
                return f"stored {event.resource} ({event.size_bytes:,} bytes)"
            case AccessRefused() as event:
                times = f" {event.times:,} times" if event.times > 1 else ""
                return f"refused{times}: {event.rule}" + (f" for {event.resource}" if event.resource else "")
            case _:
                return self.event.type

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        said = self.event.model_dump(mode="json")
        return {"time_ms": self.time_ms, "type": self.event.type, "project": self.project, **said}


@dataclass(frozen=True)
class Log:
    """The newest entries, the oldest of them first, and how many there are before them."""

    entries: tuple[Entry, ...]
    more: int


async def read_log(place: Place, name: str | None, since_ms: int, limit: int) -> Log:
    """Read the newest entries about somebody (None: anybody), at most `limit` (0: all).

    Raises Unavailable, or CommandFailed when the broker stays silent.
    """
    newest: deque[Entry] = deque(maxlen=limit or None)
    seen: set[str] = set()  # an entry whose confirmation was lost may have been said again
    async for deliveries in stored(place.broker, ACCESS_EVENTS, tell=place.tell):
        for delivery in deliveries:
            envelope = event_in(delivery)
            if envelope is None or not isinstance(envelope.event, AccessEvent) or envelope.time_ms < since_ms:
                continue
            entry = Entry(envelope.time_ms, envelope.project, envelope.event)
            if name in (None, entry.name) and envelope.id not in seen:
                seen.add(envelope.id)
                newest.append(entry)
    return Log(tuple(newest), len(seen) - len(newest))


async def last_fetches(place: Place) -> dict[str, int]:
    """Return when each device fetched something last, in ms, by name. Reads the whole log. Raises Unavailable."""
    found: dict[str, int] = {}
    async for deliveries in stored(place.broker, ACCESS_EVENTS, tell=place.tell):
        for envelope in map(event_in, deliveries):
            if envelope and isinstance(envelope.event, ResourceFetched) and envelope.event.kind == "device":
                found[envelope.event.name] = max(envelope.time_ms, found.get(envelope.event.name, 0))
    return found


def _because(why: str) -> str:
    return f": {why}" if why else ""
