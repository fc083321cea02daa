"""A decider's heartbeat."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from labelstream.service.health import Health
from labelstream.service.patience import patiently


async def every(period_s: float, tick: Callable[[], Awaitable[None]], health: Health) -> None:
    """Call `tick` again and again until cancelled; what it finds Unavailable is waited for, and said so."""
    while True:
        await patiently(health, "store or broker", tick)
        await asyncio.sleep(period_s)
