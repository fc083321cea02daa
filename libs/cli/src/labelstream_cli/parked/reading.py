"""Reading a parked stream: what was refused, and what was done about it since."""

from __future__ import annotations

import re
import sys
from collections import Counter, deque
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from labelstream.parked import INGEST, Mark, Marker, Parked, origin, read_parked
from labelstream.streams.ports import Broker
from labelstream.values import Position
from labelstream_cli.parked.peeking import Peeked, peek
from labelstream_cli.reaching import Tell, not_told, stored
from labelstream_cli.running import CommandFailed

_Place = tuple[str, int]  # a Position takes four times the memory
State = Literal["parked", "replayed", "dropped"]

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True)
class Kept:
    """A parked message without its bytes."""

    offset: int  # in the parked stream
    parked_ms: int
    rule: str
    reason: str
    hint: str | None
    input: Position
    origin: Position  # where the message came in first: it differs from `input` when this is a replay
    size_bytes: int
    names: tuple[str, ...]
    more_names: int
    state: State = "parked"

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "position": self.offset,
            "time": at(self.parked_ms).isoformat(),
            "state": self.state,
            "rule": self.rule,
            "reason": self.reason,
            "hint": self.hint,
            "names": list(self.names),
            "more_names": self.more_names,
            "input": self.input.model_dump(),
            "replays": None if self.origin == self.input else self.origin.model_dump(),
            "size_bytes": self.size_bytes,
        }


@dataclass(frozen=True)
class Wanted:
    """Which parked messages are meant; everything that is None does not matter."""

    rule: str | None = None
    stream: str | None = None
    since_ms: int | None = None
    offsets: Collection[int] | None = None

    def means(self, one: Parked) -> bool:
        """Say whether it means this one."""
        return (
            self.rule in (None, one.rule)
            and self.stream in (None, one.input.stream)
            and (self.since_ms is None or one.parked_ms >= self.since_ms)
            and (self.offsets is None or one.place.offset in self.offsets)
        )


@dataclass(frozen=True)
class Listing:
    """The newest messages, and how many there are by rule and state, the most frequent rule first."""

    newest: tuple[Kept, ...]
    rules: dict[str, Counter[State]]

    @property
    def total(self) -> int:
        """How many messages are meant."""
        return sum(states.total() for states in self.rules.values())


async def listing(broker: Broker, wanted: Wanted, most: int | None, tell: Tell = not_told) -> Listing:
    """Return the `most` newest of the messages that are meant (None: all), and count the others."""
    newest: deque[Kept] = deque(maxlen=most)
    rules: dict[_Place, str] = {}  # there may be very many: 140 bytes are kept of each
    marks: dict[_Place, Mark] = {}
    async for one in _all(broker, "first", tell):
        if isinstance(one, Marker):
            marks[_place(one.input)] = one.mark
        elif wanted.means(one):
            rules[_place(one.input)] = sys.intern(one.rule)
            newest.append(_kept(one, peek(one.raw)))
    counts: dict[str, Counter[State]] = {}
    for place, rule in rules.items():
        counts.setdefault(rule, Counter())[marks.get(place, "parked")] += 1
    return Listing(
        tuple(_marked(one, marks.get(_place(one.input), "parked")) for one in reversed(newest)),
        dict(sorted(counts.items(), key=lambda item: (-item[1].total(), item[0]))),
    )


async def kept(broker: Broker, wanted: Wanted, tell: Tell = not_told) -> list[Kept]:
    """Return the parked messages that are meant, oldest first, each with what was done about it."""
    found: list[Kept] = []
    marks: dict[_Place, Mark] = {}
    async for one in _all(broker, min(wanted.offsets) if wanted.offsets else "first", tell):
        if isinstance(one, Marker):
            marks[_place(one.input)] = one.mark
        elif wanted.means(one):
            found.append(_kept(one, peek(one.raw)))
    return [_marked(one, marks.get(_place(one.input), "parked")) for one in found]


async def bytes_of(broker: Broker, offsets: Collection[int], tell: Tell = not_told) -> AsyncIterator[Parked]:
    """Yield the parked messages at some offsets with their bytes, in order; those that are gone are left out."""
    if not offsets:
        return
    async for one in _all(broker, min(offsets), tell, end=max(offsets)):
        if isinstance(one, Parked) and one.place.offset in offsets:
            yield one


async def chosen(broker: Broker, offsets: Collection[int], tell: Tell = not_told) -> list[Kept]:
    """Return the messages at these offsets. Raises CommandFailed when one is not there."""
    found = await kept(broker, Wanted(offsets=set(offsets)), tell)
    missing = sorted(set(offsets) - {one.offset for one in found})
    if missing:
        raise CommandFailed(
            f"no message is parked at {', '.join(map(str, missing))}: `labelstream parked list` shows the positions; "
            "parked messages go with the stream's age and size"
        )
    return found


def since_ms(text: str, now: datetime | None = None) -> int:
    """Read `30m`, `2h`, `3d` or a date such as 2026-03-01T12:00. Raises ValueError."""
    ago = re.fullmatch(r"(\d+)\s*([smhdw])", text.strip())
    if ago:
        try:
            began = (now or datetime.now(UTC)) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        except OverflowError as error:
            raise ValueError(f"{text} is before all time") from error
    else:
        began = datetime.fromisoformat(text.strip())
    return int(began.timestamp() * 1000)


def at(ms: int) -> datetime:
    """Return a time of the broker as this machine's clock would show it."""
    return datetime.fromtimestamp(ms / 1000, UTC).astimezone()


async def _all(
    broker: Broker, start: int | Literal["first"], tell: Tell, end: int | None = None
) -> AsyncIterator[Parked | Marker]:
    async for deliveries in stored(broker, INGEST, start, tell=tell, end=end):
        for delivery in deliveries:
            one = read_parked(delivery)
            if one is not None:
                yield one


def _kept(one: Parked, peeked: Peeked) -> Kept:
    first = origin(one.input, peeked.message) if peeked.message else one.input
    return Kept(
        offset=one.place.offset,
        parked_ms=one.parked_ms,
        rule=one.rule,
        reason=one.reason,
        hint=one.hint,
        input=one.input,
        origin=first,
        size_bytes=one.size_bytes,
        names=peeked.names,
        more_names=peeked.more_names,
    )


def _place(position: Position) -> _Place:
    return sys.intern(position.stream), position.offset


def _marked(one: Kept, state: State) -> Kept:
    return one if state == "parked" else replace(one, state=state)
