"""Waiting for a broker that is away: back-off for one connection, and one word to health for all of them."""

from __future__ import annotations

import asyncio
import random
import time

import structlog

from labelstream.errors import Unavailable
from labelstream.service.health import Health

FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 5.0
STEADY_AFTER_S = 5.0  # a connection that lived shorter did not end the trouble

log = structlog.get_logger()


class Outages:
    """Who of us waits for the broker; `health` is told while anyone does."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._reasons: dict[str, str] = {}

    def waiting(self, who: str, reason: str) -> None:
        """Say that `who` waits, and why."""
        if who not in self._reasons:
            log.warning("broker.lost", who=who, reason=reason)
        self._reasons[who] = reason
        self._health.waiting("broker", f"{who}: {reason}")

    def over(self, who: str) -> None:
        """Say that `who` waits no more."""
        if self._reasons.pop(who, None) is None:
            return
        log.info("broker.found", who=who)
        if self._reasons:
            other, reason = next(iter(self._reasons.items()))
            self._health.waiting("broker", f"{other}: {reason}")
        else:
            self._health.ready("broker")


class Recovery:
    """The back-off of one reader or publisher: doubled from wait to wait, capped, and never in step with others'."""

    def __init__(self, who: str, outages: Outages) -> None:
        self._who = who
        self._outages = outages
        self._wait_s = FIRST_WAIT_S
        self._steady_at = float("inf")

    def recovered(self) -> None:
        """Say that it works (again)."""
        self._steady_at = time.monotonic() + STEADY_AFTER_S
        self._outages.over(self._who)

    async def wait(self, error: Unavailable) -> None:
        """Say why it does not work, and wait before the next attempt."""
        if time.monotonic() > self._steady_at:
            self._wait_s = FIRST_WAIT_S
        self._steady_at = float("inf")
        self._outages.waiting(self._who, error.reason)
        await asyncio.sleep(self._wait_s * random.uniform(0.5, 1.0))
        self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S)

    def given_up(self) -> None:
        """Say that nobody waits here any more."""
        self._outages.over(self._who)
