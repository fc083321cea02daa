"""Tasks beside the real work."""

from __future__ import annotations

import asyncio

import pytest

from trainer.work.beside import beside


async def forever() -> None:
    await asyncio.Event().wait()


async def fail() -> None:
    raise LookupError("beside")


async def test_they_end_with_the_body():
    tasks = len(asyncio.all_tasks())
    async with beside(forever(), forever()):
        await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == tasks


async def test_one_that_fails_ends_the_body_with_its_error():
    with pytest.raises(LookupError, match="beside"):
        async with beside(forever(), fail()):
            await forever()


async def test_one_that_fails_as_the_body_ends_is_not_forgotten():
    with pytest.raises(LookupError, match="beside"):
        async with beside(fail()):
            await asyncio.sleep(0)


async def test_one_that_ends_well_ends_nothing():
    async with beside(asyncio.sleep(0)):
        await asyncio.sleep(0.01)


async def test_the_body_s_own_error_passes():
    with pytest.raises(TimeoutError, match="the body's own"):
        async with beside(forever()):
            raise TimeoutError("the body's own")


async def test_cancelling_from_outside_passes_and_ends_them():
    ended = asyncio.Event()

    async def until_cancelled() -> None:
        try:
            await forever()
        finally:
            ended.set()

    async def body() -> None:
        async with beside(until_cancelled()):
            await forever()

    task = asyncio.create_task(body())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
