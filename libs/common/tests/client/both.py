"""Both clients behind one face, so that each test is held by both."""

from __future__ import annotations

import asyncio
from typing import Any

from labelstream.client import AsyncClient, Client


class Asynchronously:
    """The asynchronous client, asked as the other one is."""

    def __init__(self, *told: Any, **more: Any) -> None:
        self._told = told, more

    def __enter__(self) -> Asynchronously:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        def call(*given: Any, **wishes: Any) -> Any:
            return asyncio.run(self._call(name, given, wishes))

        return call

    async def _call(self, name: str, given: Any, wishes: Any) -> Any:
        told, more = self._told
        async with AsyncClient(*told, **more) as client:
            asked = getattr(client, name)(*given, **wishes)
            return [one async for one in asked] if hasattr(asked, "__aiter__") else await asked


BOTH = {"sync": Client, "async": Asynchronously}
