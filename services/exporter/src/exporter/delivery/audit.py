"""The audit log as the public API writes it: nothing is handed out before its entry is confirmed.

An entry may stand for an answer that was lost on its way; never the other way round. Who is turned away
is counted, and the counts are said at intervals: nobody can flood the log.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass

import structlog

from exporter.delivery.metrics import AUDIT_OPEN, AUDITED
from exporter.delivery.problems import Who
from exporter.delivery.refusals import Refusals
from labelstream.errors import Unavailable
from labelstream.events.access import AccessEvent
from labelstream.events.base import ACCESS_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.streams.journal import Journal
from labelstream.streams.ports import Broker

AUDIT = "audit log"
MOST_WAITING = 1000  # entries
MOST_AT_ONCE = 100
LAST_WORDS_S = 2.0

log = structlog.get_logger()


@dataclass(eq=False)
class _Entry:
    envelope: Envelope
    confirmed: asyncio.Future[None]
    is_sent: bool = False


class Audit:
    """Writes entries in order, many at once when many wait."""

    def __init__(self, broker: Broker, replica: str, health: Health, *, wait_s: float, every_s: float) -> None:
        """Write under the name of `replica`; say what was refused `every_s` seconds."""
        self.name = f"exporter-serve.{replica}"
        self._broker = broker
        self._health = health
        self._journal = Journal(broker, ACCESS_EVENTS, [self.name], lambda *_: None, health)
        self._refusals = Refusals()
        self._waiting: deque[_Entry] = deque()
        self._more = asyncio.Event()
        self._is_open = False
        self._wait_s = wait_s
        self._every_s = every_s
        health.waiting(AUDIT, "it is not open yet")

    async def say(self, event: AccessEvent, project: str) -> None:
        """Return when the entry is confirmed. Raises Unavailable when that takes too long."""
        if not self._is_open or len(self._waiting) >= MOST_WAITING:
            raise Unavailable(AUDIT, "it is not open yet" if not self._is_open else "too many entries wait for it")
        entry = self._put(event, project)
        try:
            async with asyncio.timeout(self._wait_s):
                await asyncio.shield(entry.confirmed)
        except TimeoutError:
            raise Unavailable(AUDIT, f"it did not confirm within {self._wait_s:g} s") from None
        finally:
            if not entry.is_sent:
                with suppress(ValueError):  # it was confirmed
                    self._waiting.remove(entry)

    def refused(self, who: Who, rule: str, resource: str, address: str, project: str) -> None:
        """Count that somebody was turned away."""
        self._refusals.count(who, rule, resource, address, project)

    async def run(self) -> None:
        """Write until cancelled; what was counted is said before that. Raises AnotherWriter."""
        await self._open()
        self._is_open = True
        self._health.ready(AUDIT)
        try:
            await self._write()
        finally:
            self._is_open = False
            self._give_up()
            await self._journal.close()

    async def _open(self) -> None:
        """Join the stream at its end: what others wrote before is nothing to us."""
        await patiently(self._health, "broker", lambda: self._broker.ensure_stream(ACCESS_EVENTS))
        tail = await patiently(self._health, "broker", lambda: self._broker.last_offset(ACCESS_EVENTS))
        sequences = await self._journal.open("first" if tail is None else tail)
        self._number = sequences[self.name]

    async def _write(self) -> None:
        due = time.monotonic() + self._every_s
        try:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, due - time.monotonic())):
                        await self._more.wait()
                self._more.clear()
                if time.monotonic() >= due:
                    self._take_refusals()
                    due = time.monotonic() + self._every_s
                await self._write_waiting()
        except asyncio.CancelledError:
            await self._say_last()
            raise

    async def _say_last(self) -> None:
        """Say what was counted, if the log still takes it."""
        if any(entry.is_sent for entry in self._waiting):
            return  # the broker is away, or we were stopped in the middle: what is stored is known after the next start
        self._take_refusals()
        try:
            async with asyncio.timeout(LAST_WORDS_S):
                await self._write_waiting()
        except TimeoutError:
            log.warning("refusals.unsaid", times=sum(1 for _ in self._waiting))

    async def _write_waiting(self) -> None:
        while self._waiting:
            batch = [self._waiting[at] for at in range(min(MOST_AT_ONCE, len(self._waiting)))]
            for entry in batch:
                entry.is_sent = True
            await self._journal.append(
                self.name, [(self._number + at, entry.envelope) for at, entry in enumerate(batch, start=1)]
            )
            self._number += len(batch)
            for entry in batch:
                self._waiting.popleft()
                AUDITED.labels(entry.envelope.event.type).inc()
                if not entry.confirmed.done():
                    entry.confirmed.set_result(None)
        AUDIT_OPEN.set(0)

    def _give_up(self) -> None:
        for entry in self._waiting:
            if not entry.confirmed.done():
                entry.confirmed.set_exception(Unavailable(AUDIT, "it was closed"))
                entry.confirmed.exception()  # somebody may wait for it, or nobody: a refusal that was counted

    def _take_refusals(self) -> None:
        for event, project in self._refusals.taken():
            self._put(event, project)

    def _put(self, event: AccessEvent, project: str) -> _Entry:
        # The same may happen again, and that is another fact: hence the time.
        envelope = Envelope.of(
            event, source=self.name, answers=f"{time.time_ns()}:{len(self._waiting)}", project=project
        )
        entry = _Entry(envelope, asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        AUDIT_OPEN.set(len(self._waiting))
        self._more.set()
        return entry
