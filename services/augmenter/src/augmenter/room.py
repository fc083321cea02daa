"""Room in memory, which is taken in the order in which it is asked for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Room:
    """So many bytes. What is larger than all of it goes alone."""

    def __init__(self, size_bytes: int) -> None:
        self._size = size_bytes
        self._taken = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def taken(self, size_bytes: int) -> AsyncIterator[None]:
        """Hold so many bytes while the body runs; waits until they are free, and behind whoever waits already."""
        wanted = min(size_bytes, self._size)
        if self._waiting or self._taken + wanted > self._size:
            await self._wait(wanted)
        else:
            self._taken += wanted
        try:
            yield
        finally:
            self._give(wanted)

    async def _wait(self, wanted: int) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((wanted, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was given, and nobody is there to take it
                self._give(wanted)
            raise

    def _give(self, size_bytes: int) -> None:
        self._taken -= size_bytes
        while self._waiting:
            wanted, turn = self._waiting[0]
            if not turn.cancelled():
                if self._taken + wanted > self._size:
                    return
                self._taken += wanted
                turn.set_result(None)
            self._waiting.popleft()
