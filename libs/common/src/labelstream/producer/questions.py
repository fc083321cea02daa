"""Questions to the broker about a stream: one that is away is asked again, a stream that is missing is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from rstream.exceptions import StreamDoesNotExist

from labelstream.errors import Misconfigured, Unavailable
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.streams.ports import Broker

T = TypeVar("T")

PAUSES_S = (0.2, 0.4)  # a broker that just started may not know all its streams yet


@dataclass(frozen=True)
class Questions:
    """Asks a broker that may be away."""

    broker: Broker
    health: Health

    async def last_publishing_id(self, stream: str, name: str) -> int:
        """Return the last id stored under `name`. Raises Misconfigured when there is no such stream."""
        return await self._patiently(stream, lambda: self.broker.last_publishing_id(stream, name))

    async def end_of(self, stream: str) -> int | None:
        """Return the offset of the last message, None for an empty stream. Raises Misconfigured as above."""
        return await self._patiently(stream, lambda: self.broker.last_offset(stream))

    async def still_there(self, stream: str, name: str) -> None:
        """Raise Misconfigured when the broker says that there is no such stream; a broker that is away says nothing."""
        try:
            await _told(stream, lambda: self.broker.last_publishing_id(stream, name))
        except Unavailable:
            return  # whoever waits for the broker goes on doing so

    async def _patiently(self, stream: str, call: Callable[[], Awaitable[T]]) -> T:
        return await patiently(self.health, "broker", lambda: _told(stream, call))


async def _told(stream: str, call: Callable[[], Awaitable[T]]) -> T:
    for pause_s in (*PAUSES_S, None):
        try:
            return await call()
        except Unavailable as error:
            if not isinstance(error.__cause__, StreamDoesNotExist):
                raise
            if pause_s is None:
                raise Misconfigured(
                    f"there is no stream {stream!r} on this broker: annotation-ingest creates its streams when it"
                    " starts; is it running, and is the stream among its inputs?"
                ) from error
            await asyncio.sleep(pause_s)
    raise AssertionError("the last pause is None")
