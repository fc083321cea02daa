"""How much a producer holds and how long it waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from labelstream.service.health import Health


@dataclass(frozen=True)
class Limits:
    """How much a producer holds. The defaults suit images of some hundred kilobytes."""

    message_bytes: int = (1 << 20) - 4096  # RabbitMQ's usual stream.frame_max, less what a frame adds
    unconfirmed_messages: int = 1000
    unconfirmed_bytes: int = 8 << 20
    linger_s: float = 0.1  # how long a message waits for others that would travel with it
    receipts_kept: int = 10_000  # that nobody has taken yet, and as many that somebody took


class TimedOut(TimeoutError):
    """What was waited for did not come in time. What was submitted may still be stored."""


@asynccontextmanager
async def within(timeout_s: float | None, doing: str, health: Health) -> AsyncIterator[None]:
    """Raise TimedOut, saying what we were `doing` and who was away, when it takes longer than `timeout_s`."""
    if timeout_s is None:
        yield
        return
    reasons: list[str] = []  # of those who are waited for at that moment: later they are not waited for any more
    timer = asyncio.get_running_loop().call_later(timeout_s, lambda: reasons.extend(_awaited(health)))
    scope = asyncio.timeout(timeout_s)
    try:
        async with scope:
            yield
    except TimeoutError as error:
        if not scope.expired():
            raise
        raise TimedOut("; ".join([f"{doing} took longer than {timeout_s:g} s", *reasons])) from error
    finally:
        timer.cancel()


def _awaited(health: Health) -> list[str]:
    return [one["reason"] for one in health.report()["waiting"].values()]


class Changes:
    """Lets many wait until something that changes is as they want it."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def tell(self) -> None:
        """Let everyone who waits look again."""
        self._event.set()
        self._event = asyncio.Event()

    async def until(self, true: Callable[[], object]) -> None:
        """Return once it is true, without suspending in between."""
        while not true():
            await self._event.wait()
