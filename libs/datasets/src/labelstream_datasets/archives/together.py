"""Working on the archives of a manifest, a few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

from labelstream_datasets.manifest import Row


async def each_archive(
    archives: Iterator[list[Row]], work: Callable[[list[Row]], Awaitable[None]], at_once: int
) -> None:
    """Do `work` on the rows of each archive; when one fails, end the others and raise its error."""
    turn = asyncio.Lock()

    async def worker() -> None:
        while True:
            async with turn:
                rows = await asyncio.to_thread(next, archives, None)
            if rows is None:
                return
            await work(rows)

    tasks = [asyncio.create_task(worker()) for _ in range(at_once)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
