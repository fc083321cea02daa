"""How far the readers of this process are behind the ends of their streams, in messages and in seconds.

A reader says what it has read and what it has handled; the broker is asked now and then where the stream ends. Both
figures are made when somebody asks for them: who stands still is seen to fall behind, also while the broker is away.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import structlog
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import REGISTRY, Collector

from labelstream.errors import Misconfigured, Unavailable
from labelstream.streams.message import Delivery
from labelstream.streams.ports import Broker, Start

EVERY_S = 10.0  # between two questions for the end of a stream: each is a connection of its own
LABELS = ["stream", "reader"]

log = structlog.get_logger()


@dataclass
class _Run:
    """Messages that the broker stored at one time, up to the offset `last`."""

    last: int
    stored_s: float


@dataclass
class Behind:
    """One reader of one stream: what it has handled, and what lies ahead of that."""

    stream: str
    reader: str
    now: Callable[[], float] = time.time
    _handled: int = -1
    _end: int = -1  # the last offset that is known of
    _end_since: float = 0.0  # when that was heard
    _ahead: tuple[int, float] | None = None  # an end that is not handled yet, and when it was heard
    _unhandled: deque[_Run] = field(default_factory=deque)  # what was read, the oldest first

    def begin(self, start: Start) -> None:
        """Read from `start` on; what lies before it counts as handled."""
        before = {"first": -1, "next": self._end}
        self._handled = start - 1 if isinstance(start, int) else before[start]
        self._unhandled.clear()
        self._look_ahead()

    def read(self, deliveries: Sequence[Delivery]) -> None:
        """Take note of what came; it is to be handled."""
        for delivery in deliveries:
            stored_s = delivery.timestamp_ms / 1000 or self.now()
            if self._unhandled and self._unhandled[-1].stored_s == stored_s:
                self._unhandled[-1].last = delivery.offset
            else:
                self._unhandled.append(_Run(delivery.offset, stored_s))
        if deliveries and deliveries[-1].offset > self._end:
            self._ends_at(deliveries[-1].offset)

    def handled(self, offset: int) -> None:
        """Take note that everything up to `offset` is done."""
        self._handled = max(self._handled, offset)
        while self._unhandled and self._unhandled[0].last <= self._handled:
            self._unhandled.popleft()
        self._look_ahead()

    def ends_at(self, last: int | None) -> None:
        """Take note of the offset of the stream's last message; None: it is empty."""
        end = -1 if last is None else last
        if end != self._end:
            self._ends_at(end)

    @property
    def messages(self) -> int:
        """How many messages are not handled, at most: a stream's own records use up offsets, too."""
        return max(0, self._end - self._handled)

    @property
    def seconds(self) -> float:
        """How old the oldest message is that is not handled; 0 when there is none.

        Of messages that were not read yet it is known since when the broker has them at the latest.
        """
        if not self.messages:
            return 0.0
        since = self._unhandled[0].stored_s if self._unhandled else self._ahead[1] if self._ahead else self.now()
        return max(0.0, self.now() - since)

    def _ends_at(self, end: int) -> None:
        self._end, self._end_since = end, self.now()
        self._look_ahead()

    def _look_ahead(self) -> None:
        """Keep the end that has been ahead for longest."""
        if not self.messages:
            self._ahead = None
        elif self._ahead is None or self._ahead[0] <= self._handled:
            self._ahead = (self._end, self._end_since)


class Readers(Collector):
    """What this process reads now."""

    def __init__(self) -> None:
        self._behind: dict[tuple[str, str], Behind] = {}

    def add(self, behind: Behind) -> None:
        """Show a reader; it takes the place of one of the same name and stream."""
        self._behind[behind.stream, behind.reader] = behind

    def remove(self, behind: Behind) -> None:
        """Show it no more."""
        if self._behind.get((behind.stream, behind.reader)) is behind:
            del self._behind[behind.stream, behind.reader]

    def describe(self) -> list[GaugeMetricFamily]:
        """Return the gauges without figures."""
        return [
            GaugeMetricFamily(
                "labelstream_lag_messages",
                "Messages of a stream that a reader of this process has not handled; at most so many",
                labels=LABELS,
            ),
            GaugeMetricFamily(
                "labelstream_lag_seconds",
                "Age of the oldest message that a reader of this process has not handled; 0: there is none",
                labels=LABELS,
            ),
        ]

    def collect(self) -> list[GaugeMetricFamily]:
        """Return the gauges, with a figure for each reader."""
        messages, seconds = self.describe()
        for place, behind in self._behind.items():
            messages.add_metric(place, behind.messages)
            seconds.add_metric(place, behind.seconds)
        return [messages, seconds]


READERS = Readers()
REGISTRY.register(READERS)


@asynccontextmanager
async def reading(broker: Broker, stream: str, reader: str, *, every_s: float = EVERY_S) -> AsyncIterator[Behind]:
    """Measure a reader while it reads; it has to say what it reads and handles. `reader`: who that is."""
    behind = Behind(stream, reader)
    READERS.add(behind)
    watching = asyncio.create_task(_watch(broker, behind, every_s), name=f"lag of {reader} in {stream}")
    watching.add_done_callback(lambda task: _ended(task, behind))
    try:
        yield behind
    finally:
        READERS.remove(behind)
        watching.cancel()
        await asyncio.wait([watching])


async def _watch(broker: Broker, behind: Behind, every_s: float) -> None:
    """Ask where the stream ends, again and again."""
    while True:
        with suppress(Unavailable, Misconfigured):  # whoever reads is told the same, waits, and says so
            behind.ends_at(await broker.last_offset(behind.stream))
        await asyncio.sleep(every_s)


def _ended(watching: asyncio.Task[None], behind: Behind) -> None:
    """Show nothing rather than a figure that nobody keeps up; the service goes on without it."""
    fault = None if watching.cancelled() else watching.exception()
    if fault is not None:
        READERS.remove(behind)
        log.error("lag.unknown", stream=behind.stream, reader=behind.reader, exc_info=fault)
