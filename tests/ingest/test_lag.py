"""The lag of a reader on the real broker: it rises while something stands still, and falls to nothing afterwards."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from labelstream.streams.amqp import encode
from labelstream.wire import native
from labelstream_local.rabbitmq import RabbitServer
from labelstream_local.scrapes import scrape
from labelstream_local.seaweedfs import WeedServer

from .program import INPUT, Program, looking_at, until_answered
from .writing import write

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow, pytest.mark.timeout(300)]

STREAM = str(INPUT["stream"])
PATIENCE_S = 120
BOX = {"class": "car", "x": 0.5, "y": 0.5, "w": 0.2, "h": 0.1}
Lag = tuple[float, float]  # messages, seconds


@pytest.fixture
def program(fresh_rabbitmq: RabbitServer, fresh_seaweedfs: WeedServer, tmp_path: Path) -> Iterator[Program]:
    """The service, which asks often where its input ends."""
    made = Program(tmp_path, fresh_rabbitmq.settings, fresh_seaweedfs.settings, more={"INGEST__CHECK_INPUT_S": "0.5"})
    made.start()
    yield made
    if made.running:
        made.kill()


def pictures(first: int, count: int) -> list[bytes]:
    """Return encoded creations, each with an image of its own."""
    made = []
    for number in range(first, first + count):
        file = io.BytesIO()
        Image.new("RGB", (8, 6), (number, 99, 99)).save(file, "PNG")
        made.append(encode(native.write(f"n{number}", file.getvalue(), [BOX], message_id=f"m{number}")))
    return made


async def lag(program: Program, enough: Callable[[Lag], bool]) -> Lag:
    """Return what the service says of its input, once it is so."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = await asyncio.to_thread(_lag, program)
            if found is not None and enough(found):
                return found
            await asyncio.sleep(0.1)


def _lag(program: Program) -> Lag | None:
    told = scrape(program.url)
    wanted = {"stream": STREAM, "reader": "annotation-ingest"}
    messages, seconds = (told.total(f"labelstream_lag_{name}", **wanted) for name in ("messages", "seconds"))
    return None if messages is None or seconds is None else (messages, seconds)


async def test_lag_rises_while_the_store_or_the_service_stands_still_and_falls_afterwards(
    program: Program, fresh_rabbitmq: RabbitServer, fresh_seaweedfs: WeedServer
) -> None:
    async with looking_at(fresh_rabbitmq) as broker:
        await lag(program, lambda _: True)
        await write(fresh_rabbitmq.settings, STREAM, pictures(0, 1))
        await until_answered(broker, 1)
        await lag(program, lambda now: now == (0, 0))
        os.kill(fresh_seaweedfs.pid, signal.SIGSTOP)
        try:
            await write(fresh_rabbitmq.settings, STREAM, pictures(1, 5))
            first = await lag(program, lambda now: now[0] >= 5)
            later = await lag(program, lambda now: now[1] > first[1])
            os.kill(program.pid, signal.SIGSTOP)
            try:
                await write(fresh_rabbitmq.settings, STREAM, pictures(6, 5))
                assert await asyncio.to_thread(_answers_nothing, program)
            finally:
                os.kill(program.pid, signal.SIGCONT)
            last = await lag(program, lambda now: now[0] >= 10)
            assert last[1] > later[1]
        finally:
            os.kill(fresh_seaweedfs.pid, signal.SIGCONT)
        await until_answered(broker, 11)
        await lag(program, lambda now: now == (0, 0))


async def test_seconds_go_on_rising_while_the_broker_is_away(
    program: Program, fresh_rabbitmq: RabbitServer, fresh_seaweedfs: WeedServer
) -> None:
    await lag(program, lambda _: True)
    os.kill(fresh_seaweedfs.pid, signal.SIGSTOP)
    try:
        await write(fresh_rabbitmq.settings, STREAM, pictures(0, 3))
        before = await lag(program, lambda now: now[0] >= 3)
        await asyncio.to_thread(fresh_rabbitmq.kill)
        await lag(program, lambda now: now[0] >= 3 and now[1] > before[1] + 1)
    finally:
        os.kill(fresh_seaweedfs.pid, signal.SIGCONT)


def _answers_nothing(program: Program) -> bool:
    try:
        httpx.get(f"{program.url}/healthz", timeout=0.5)
    except httpx.TimeoutException:
        return True
    return False
