"""Writes what outlives a restart, one thing at a time; waits for a disk that takes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from inference.serving.patience import Patience
from inference.serving.standing import Standing


@dataclass(frozen=True)
class Keeping:
    """Calls the shelf outside of the event loop."""

    patience: Patience
    standing: Standing
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def write(self, call: Callable[[], None]) -> None:
        """Return once it is written. What answers answers meanwhile, and /readyz says what is awaited."""
        async with self._writing:
            await self.patience.until_there(lambda: asyncio.to_thread(call), self.standing.unkept)
