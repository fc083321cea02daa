"""Waiting for the world: repeat what was Unavailable until it goes through, and say so meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import structlog

from labelstream.errors import Unavailable
from labelstream.service.health import Health

T = TypeVar("T")

log = structlog.get_logger()


async def patiently(
    health: Health,
    what: str,
    call: Callable[[], Awaitable[T]],
    *,
    first_pause_s: float = 0.2,
    longest_pause_s: float = 15,
) -> T:
    """Return what `call` returns, calling again after each Unavailable until it succeeds.

    /readyz shows `what` as awaited meanwhile. Pauses double up to `longest_pause_s`, with jitter, so
    that a store which comes back is not met by everybody at once. Other errors pass; cancelling works.
    """
    waited = False
    try:
        for pause_s in pauses(first_pause_s, longest_pause_s):
            try:
                result = await call()
            except Unavailable as error:
                if not waited:
                    log.warning("dependency.awaited", what=what, reason=str(error))
                waited = True
                health.waiting(what, str(error))
            else:
                if waited:
                    log.info("dependency.returned", what=what)
                return result
            await asyncio.sleep(pause_s)
    finally:
        if waited:
            health.ready(what)
    raise AssertionError("pauses never end")


def pauses(first_s: float, longest_s: float) -> Iterator[float]:
    """Give pauses for ever: doubling up to the longest, each shortened by up to a half at random."""
    pause_s = min(first_s, longest_s)
    while True:
        yield pause_s * random.uniform(0.5, 1)
        pause_s = min(pause_s * 2, longest_s)
