"""How much all inputs together may hold at once of what is not settled yet."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Room:
    """So many bytes, given out in the order in which they were asked for.

    Who asks for as much as there is, or more, is alone: everybody before has left, and who comes later waits.
    """

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self._taken = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, size_bytes: int) -> int:
        """Wait for room; return how much was taken, which is to be given back."""
        wanted = max(1, min(size_bytes, self.size_bytes))  # nobody is beside one who is alone
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((wanted, turn))
        self._let_in()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back(wanted)
            raise
        return wanted

    def give_back(self, size_bytes: int) -> None:
        """Make room for others."""
        self._taken -= size_bytes
        self._let_in()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Hold all of it."""
        taken = await self.take(self.size_bytes)
        try:
            yield
        finally:
            self.give_back(taken)

    def _let_in(self) -> None:
        while self._waiting:
            wanted, turn = self._waiting[0]
            if not turn.cancelled():
                if self._taken + wanted > self.size_bytes:
                    return
                self._taken += wanted
                turn.set_result(None)
            self._waiting.popleft()
