"""A server that is told to stop."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from labelstream.service.http import serve_http, take_port

HOST = "127.0.0.1"


@dataclass
class Slow:
    """An application that answers when it is let."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    let: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        self.asked.set()
        await self.let.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})


async def test_what_was_asked_before_it_is_answered_and_nothing_else_is_taken() -> None:
    app, taken = Slow(), take_port(HOST, 0)
    port = taken.getsockname()[1]
    serving = asyncio.create_task(serve_http(app, HOST, port, taken))
    async with httpx.AsyncClient() as client:
        asking = asyncio.create_task(client.get(f"http://{HOST}:{port}/", timeout=60))
        await app.asked.wait()

        serving.cancel()
        while True:  # until it listens no more
            try:
                _, writer = await asyncio.open_connection(HOST, port)
            except OSError:
                break
            writer.close()
            await asyncio.sleep(0.01)
        app.let.set()

        answer = await asking
    assert (answer.status_code, answer.content) == (200, b"done")
    with pytest.raises(asyncio.CancelledError):
        await serving


async def test_who_cancels_twice_waits_for_nobody() -> None:
    app, taken = Slow(), take_port(HOST, 0)
    port = taken.getsockname()[1]
    serving = asyncio.create_task(serve_http(app, HOST, port, taken))
    _, writer = await asyncio.open_connection(HOST, port)
    writer.write(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n")
    await app.asked.wait()

    serving.cancel()
    await asyncio.sleep(0)
    serving.cancel()

    with pytest.raises(asyncio.CancelledError):
        await serving
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
