"""Tasks that run beside the real work, and end with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def beside(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run `works` while the body runs; the first that fails ends the body, and its error is raised as it is."""
    tasks = [asyncio.create_task(work) for work in works]
    outcomes: list[BaseException | None] = []
    is_over = False
    try:
        async with asyncio.timeout(None) as limit:

            def end(task: asyncio.Task[None]) -> None:
                if not is_over and not limit.expired() and not task.cancelled() and task.exception() is not None:
                    limit.reschedule(0)  # the past: at once

            for task in tasks:
                task.add_done_callback(end)
            try:
                yield
            finally:
                is_over = True
                for task in tasks:
                    task.cancel()
                outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    except TimeoutError as error:
        failed = _first(outcomes) if limit.expired() else None
        if failed is None:
            raise
        raise failed from error
    failed = _first(outcomes)
    if failed is not None:  # it failed in the same moment in which the body ended
        raise failed


def _first(outcomes: list[BaseException | None]) -> Exception | None:
    return next((each for each in outcomes if isinstance(each, Exception)), None)
