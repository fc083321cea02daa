"""The queue has an end, and what waits in it is not lost."""

from __future__ import annotations

import asyncio
import threading

import pytest

from inference.answering.workers import Busy, Workers


async def test_one_request_too_many_is_told_when_to_come_again() -> None:
    workers, go = Workers(threads=1, queue_size=1), threading.Event()
    try:
        first = asyncio.create_task(workers.run(lambda _: go.wait()))
        second = asyncio.create_task(workers.run(lambda _: "second"))
        await asyncio.sleep(0)
        with pytest.raises(Busy) as busy:
            await workers.run(lambda _: "third")
        assert busy.value.retry_after_s >= 1
        go.set()
        assert await first
        assert await second == "second"
        assert await workers.run(lambda _: "fourth") == "fourth"
    finally:
        go.set()
        workers.close()


async def test_who_goes_away_while_waiting_leaves_the_place_to_others() -> None:
    workers, go = Workers(threads=1, queue_size=1), threading.Event()
    try:
        first = asyncio.create_task(workers.run(lambda _: go.wait()))
        gone = asyncio.create_task(workers.run(lambda _: "gone"))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.wait([gone])
        next_one = asyncio.create_task(workers.run(lambda _: "next"))
        go.set()
        assert await next_one == "next"
        await first
    finally:
        go.set()
        workers.close()


async def test_an_error_reaches_who_asked() -> None:
    workers = Workers(threads=1, queue_size=0)
    try:
        with pytest.raises(ZeroDivisionError):
            await workers.run(lambda _: 1 // 0)
        assert await workers.run(lambda _: 1) == 1
    finally:
        workers.close()
