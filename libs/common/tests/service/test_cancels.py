"""Calls in which a cancel meets the end of their wait."""

from __future__ import annotations

import asyncio

import pytest

from labelstream.service.cancels import heeding_cancels


async def answer(future: asyncio.Future[str]) -> str:
    """Wait as the libraries do."""
    with heeding_cancels():
        return await asyncio.wait_for(future, 60)


@pytest.mark.parametrize("fails", [False, True], ids=["returned", "failed"])
async def test_a_task_that_is_cancelled_when_its_answer_comes_ends(*, fails: bool) -> None:
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(answer(future))
    await asyncio.sleep(0)

    if fails:
        future.set_exception(OSError("gone"))
    else:
        future.set_result("here")
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_without_a_cancel_nothing_changes() -> None:
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    future.set_result("here")
    broken: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    broken.set_exception(OSError("gone"))

    assert await answer(future) == "here"
    with pytest.raises(OSError, match="gone"):
        await answer(broken)


async def test_a_cancel_of_before_is_not_raised_again() -> None:
    async def tidying() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            with heeding_cancels():
                return "tidied"
        return "slept"

    task = asyncio.create_task(tidying())
    await asyncio.sleep(0)
    task.cancel()

    assert await task == "tidied"


async def test_a_timeout_around_it_stays_a_timeout() -> None:
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.05, future.set_result, "late")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await answer(future)
