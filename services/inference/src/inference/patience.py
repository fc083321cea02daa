"""Waiting for what is away, without giving up and without hurrying it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from labelstream.errors import Unavailable

T = TypeVar("T")


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

    async def until_there(self, call: Callable[[], Awaitable[T]], say: Callable[[str | None], None]) -> T:
        """Return what `call` returns; `say` hears why it is still awaited, and None at the end.

        Unlike `labelstream.service.patience` this leaves it to `say` whether the replica is ready meanwhile.
        """
        pauses = self.pauses()
        while True:
            try:
                result = await call()
            except Unavailable as error:
                say(str(error))
                await asyncio.sleep(next(pauses))
            else:
                say(None)
                return result
