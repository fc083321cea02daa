"""Putting bytes on a stream as they are, whether they are a message or not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from rstream import Producer, RawMessage

from labelstream.service.settings import BrokerSettings


async def write(settings: BrokerSettings, stream: str, messages: Sequence[bytes], at_once: int = 100) -> None:
    """Store messages in a stream that is there, and wait for their confirms."""
    login = {"host": settings.host, "port": settings.stream_port, "username": settings.username}
    async with Producer(**login, password=settings.password.get_secret_value()) as producer:
        confirmed: asyncio.Queue[object] = asyncio.Queue()
        for start in range(0, len(messages), at_once):
            batch = messages[start : start + at_once]
            await producer.send_batch(stream, [RawMessage(raw) for raw in batch], on_publish_confirm=confirmed.put)
            for _ in batch:
                await asyncio.wait_for(confirmed.get(), 60)
