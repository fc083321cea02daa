"""An application of ours behind a port, watched."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from labelstream.service.http import take_port


@dataclass
class Watched:
    """An ASGI application that counts what it is asked, and may be told to do something about it."""

    app: Any
    asked: Counter[str] = field(default_factory=Counter)
    before: Callable[[int], Any] | None = None  # is told how many predictions were asked for
    heard: asyncio.Event = field(default_factory=asyncio.Event)  # anything at all

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        self.asked[path] += 1
        self.heard.set()
        if path == "/v1/predict" and self.before is not None:
            await self.before(self.asked[path])
        await self.app(scope, receive, send)


async def until(true: Callable[[], bool]) -> None:
    """Return once it is true."""
    while not true():  # noqa: ASYNC110  # uvicorn has no event for it
        await asyncio.sleep(0.01)


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """Serve an application in this loop, on a free port."""
    taken = take_port("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", timeout_keep_alive=75))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]  # the test's own stay
    task = asyncio.create_task(server.serve([taken]))
    await until(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
