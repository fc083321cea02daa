"""Servers of a benchmark's own, which leave with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from labelstream_local.rabbitmq import RabbitServer
from labelstream_local.seaweedfs import WeedServer

Server = TypeVar("Server", RabbitServer, WeedServer)


@asynccontextmanager
async def running(server: Server) -> AsyncIterator[Server]:
    """Start a server; kill it at the end, because nobody wants its data."""
    try:
        await asyncio.to_thread(server.start)
        yield server
    finally:
        server.kill()
        await asyncio.to_thread(server.stop)
