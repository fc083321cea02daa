"""Where the newest promotion of a project waits to be followed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import NamedTuple

from labelstream.events.envelope import Envelope
from labelstream.events.model import ModelPromoted
from labelstream.protection.promotions import PromotionStatement


class Heard(NamedTuple):
    """A promotion as it was heard."""

    envelope: Envelope
    promotion: ModelPromoted


class Order(NamedTuple):
    """A promotion that is believed and should be followed."""

    heard: Heard
    statement: PromotionStatement
    is_news: bool = True  # False: others followed it long ago, perhaps, and this replica begins with it


@dataclass
class Desk:
    """Holds one order; a newer one takes its place."""

    _order: Order | None = None
    _filled: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, order: Order) -> None:
        """Replace whatever waits."""
        self._order = order
        self._filled.set()

    async def take(self) -> Order:
        """Return the newest order, when there is one."""
        await self._filled.wait()
        self._filled.clear()
        order, self._order = self._order, None
        if order is None:
            raise RuntimeError("a desk says that it is filled and is empty")
        return order

    async def newer_within(self, seconds: float) -> bool:
        """Wait; say whether a newer order came meanwhile."""
        try:
            async with asyncio.timeout(seconds):
                await self._filled.wait()
        except TimeoutError:
            return False
        return True
