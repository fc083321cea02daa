"""Many works of one request: a few at once, their results in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


async def in_order(source: AsyncIterator[S], work: Callable[[S], Awaitable[T]], most: int) -> AsyncGenerator[T, None]:
    """Yield `work(each)` for each of `source`, in its order; at most `most` are begun and not yet taken.

    Who takes slowly is waited for: nothing more is begun. To be closed by who leaves early (`aclosing`).
    """
    begun: asyncio.Queue[asyncio.Task[T] | None] = asyncio.Queue()
    room = asyncio.Semaphore(most)
    running: set[asyncio.Task[T]] = set()

    async def begin() -> None:
        try:
            await room.acquire()
            async for each in source:
                task = asyncio.ensure_future(_await(work(each)))
                running.add(task)
                task.add_done_callback(running.discard)
                begun.put_nowait(task)
                await room.acquire()
        finally:
            begun.put_nowait(None)

    beginning = asyncio.ensure_future(begin())
    try:
        while (task := await begun.get()) is not None:
            result = await task
            yield result
            room.release()
        await beginning  # raises what the source raised
    finally:
        left = [beginning, *running]
        for each in left:
            each.cancel()
        await asyncio.gather(*left, return_exceptions=True)


async def with_pauses(source: AsyncIterator[S], pause_s: float) -> AsyncGenerator[S | None, None]:
    """Yield what `source` yields, and None whenever nothing came for `pause_s`."""
    upcoming: asyncio.Future[S] | None = None
    try:
        while True:
            upcoming = upcoming or asyncio.ensure_future(_next(source))
            await asyncio.wait({upcoming}, timeout=pause_s)
            if not upcoming.done():
                yield None
                continue
            ready, upcoming = upcoming, None
            try:
                each = ready.result()
            except StopAsyncIteration:
                return
            yield each
    finally:
        if upcoming is not None:
            upcoming.cancel()
            await asyncio.gather(upcoming, return_exceptions=True)


async def _await(work: Awaitable[T]) -> T:
    return await work


async def _next(source: AsyncIterator[S]) -> S:
    return await anext(source)
