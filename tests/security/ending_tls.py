"""A proxy that ends TLS before a server, as a sidecar would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from .certificates import HOST, Shown


@asynccontextmanager
async def ending_tls(port: int, shown: Shown) -> AsyncIterator[int]:
    """Speak TLS before a port of this machine while inside; yield our own port."""
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_connection(HOST, port)
        ways = (_forward(reader, behind_writer), _forward(behind_reader, writer))
        tasks.update(asyncio.ensure_future(way) for way in ways)

    server = await asyncio.start_server(accept, HOST, 0, ssl=shown.context())
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):  # either side went away; so does the other
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()
