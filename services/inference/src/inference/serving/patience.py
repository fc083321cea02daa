"""Waiting for what is away or refuses us, without giving up and without hurrying it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import structlog

from labelstream.errors import Misconfigured, Unavailable

T = TypeVar("T")

log = structlog.get_logger()


@dataclass(frozen=True)
class Patience:
    """How long to wait between attempts, and for a grant before its absence counts as a failure."""

    first_s: float = 0.5
    most_s: float = 30
    grant_s: float = 60

    def pauses(self) -> Iterator[float]:
        """Yield ever longer pauses without end, with jitter."""
        pause = self.first_s
        while True:
            yield pause * random.uniform(0.5, 1)
            pause = min(pause * 2, self.most_s)

    @property
    def longest(self) -> float:
        """The pause before a refusal is tried again: somebody has to set something right first."""
        return self.most_s * random.uniform(0.5, 1)

    async def until_there(self, call: Callable[[], Awaitable[T]], say: Callable[[str | None], None]) -> T:
        """Return what `call` returns; `say` hears why it is still awaited, and None at the end.

        Unlike `labelstream.service.patience` this leaves it to `say` whether the replica is ready meanwhile,
        and waits for one that refuses us too: a replica goes on with the model that it has.
        """
        pauses = self.pauses()
        while True:
            try:
                result = await call()
            except Unavailable as error:
                say(str(error))
                await asyncio.sleep(next(pauses))
            except Misconfigured as error:
                log.error("dependency.refused", reason=str(error))
                say(str(error))
                await asyncio.sleep(self.longest)
            else:
                say(None)
                return result
