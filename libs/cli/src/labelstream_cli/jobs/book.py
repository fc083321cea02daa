"""The jobs as `training-events` tells them: all of them, and the one that a person means."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from labelstream.events.base import TRAINING_EVENTS
from labelstream.streams.message import Delivery
from labelstream.streams.ports import Reader, Start
from labelstream.trainings import JobBook, JobState
from labelstream_cli.jobs.place import Place
from labelstream_cli.jobs.words import SHORT
from labelstream_cli.reaching import event_in, stored
from labelstream_cli.running import CommandFailed
from labelstream_cli.tracing.closest import like

_DIGITS = re.compile(r"[0-9a-f]{4,32}")
_MOST_CANDIDATES = 8


async def read_book(place: Place) -> JobBook:
    """Read all that the stream holds now. Raises Unavailable, or CommandFailed when the broker stays silent."""
    return (await Live.opened(place)).book


@dataclass
class Live:
    """The jobs, and where the stream goes on."""

    place: Place
    book: JobBook
    _next: Start
    _reader: Reader | None = None

    @classmethod
    async def opened(cls, place: Place) -> Live:
        """Read all that the stream holds now."""
        live = cls(place, JobBook(), "first")
        async for deliveries in stored(place.broker, TRAINING_EVENTS, tell=place.tell):
            live._take(deliveries)
        return live

    async def more(self, wait_s: float = 1.0) -> bool:
        """Read what came since, waiting up to `wait_s` seconds for it; say whether anything came."""
        if self._reader is None:
            self._reader = self.place.broker.reader(TRAINING_EVENTS, self._next)
        deliveries = await self._reader.read(wait_s=wait_s)
        self._take(deliveries)
        return bool(deliveries)

    async def close(self) -> None:
        """Stop reading."""
        if self._reader is not None:
            await self._reader.close()

    def _take(self, deliveries: Iterable[Delivery]) -> None:
        for delivery in deliveries:
            envelope = event_in(delivery)
            if envelope is not None:
                self.book.fold(delivery.offset, envelope)
            self._next = delivery.offset + 1


@asynccontextmanager
async def live_at(place: Place) -> AsyncIterator[Live]:
    """Hold the jobs, to be kept up to date, while inside."""
    live = await Live.opened(place)
    try:
        yield live
    finally:
        await live.close()


def chosen(book: JobBook, told: str | None) -> JobState:
    """Return the job whose id begins with `told`, or the newest. Raises CommandFailed when that is none, or several."""
    if not book.jobs:
        raise CommandFailed("no training was asked for yet: `labelstream train` asks for one")
    if told is None:
        return next(reversed(book.jobs.values()))
    digits = told.strip().lower().rstrip("….")
    if not _DIGITS.fullmatch(digits):
        raise CommandFailed(
            f"{told!r} does not name a job: give at least 4 hexadecimal digits of its id, as `labelstream jobs list` "
            "shows them"
        )
    found = [state for job, state in book.jobs.items() if job.startswith(digits)]
    if not found:
        raise CommandFailed(_unknown(book, digits))
    if len(found) > 1:
        raise CommandFailed(f"{digits} may be any of {len(found)} jobs: {_candidates(found)}. Give more digits.")
    return found[0]


def _unknown(book: JobBook, digits: str) -> str:
    ids = {job[: len(digits)]: state for job, state in book.jobs.items()}
    near = [ids[one] for one in like(digits, ids)]
    said = f"like it: {_candidates(near)}. " if near else ""
    return f"there is no job {digits}; {said}`labelstream jobs list` shows all {len(book.jobs)}"


def _candidates(states: Iterable[JobState]) -> str:
    every = list(states)
    more = f" and {len(every) - _MOST_CANDIDATES} more" if len(every) > _MOST_CANDIDATES else ""
    return ", ".join(f"{one.job[:SHORT]} ({one.project}, {one.state})" for one in every[:_MOST_CANDIDATES]) + more
