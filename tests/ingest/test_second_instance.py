"""Two instances that answer the same input: one goes, and what was said and seen stays right."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path

import pytest

from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.service.health import Health
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream_local.rabbitmq import RabbitServer
from labelstream_local.reports import ask
from labelstream_local.seaweedfs import WeedServer

from .program import INPUT, Program, everything_in, until_answered, until_kept
from .traffic import traffic
from .undisturbed import rebuilt, receipts_in, rows
from .writing import write

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow, pytest.mark.timeout(300)]

STREAM = str(INPUT["stream"])
ANOTHER_WRITER = 3


async def _supervised(both: list[Program], until: Coroutine[None, None, None]) -> None:
    """Start one again, as a supervisor does, when each found a message of the other at once."""
    waiting = asyncio.create_task(until)
    while not waiting.done():
        await asyncio.wait([waiting], timeout=0.1)
        if not any(one.running for one in both):
            assert both[0].exit_code == ANOTHER_WRITER
            both[0].start()
    await waiting


async def test_one_of_two_instances_exits_and_the_view_of_the_other_is_right(
    fresh_rabbitmq: RabbitServer, fresh_seaweedfs: WeedServer, tmp_path: Path
) -> None:
    messages = traffic(300, seed=3)
    servers = fresh_rabbitmq.settings, fresh_seaweedfs.settings
    both = [Program(tmp_path / name, *servers, batch=7) for name in ("one", "other")]
    broker = RabbitBroker(fresh_rabbitmq.settings, Health(), "test")
    await broker.ensure_stream(STREAM)
    try:
        for one in both:
            one.folder.mkdir()
            one.start()
        async with asyncio.timeout(240):
            for one in both:
                while (said := await asyncio.to_thread(ask, one.url)) is None or not said.ready:  # noqa: ASYNC110  # it gives no sign
                    await asyncio.sleep(0.1)
            for start in range(0, len(messages), 30):
                await write(fresh_rabbitmq.settings, STREAM, messages[start : start + 30])
                await _supervised(both, until_answered(broker, min(start + 30, len(messages))))
            while all(one.running for one in both):  # noqa: ASYNC110  # a process gives no sign
                await asyncio.sleep(0.1)
        if not any(one.running for one in both):
            both[0].start()
        gone = next(one for one in both if not one.running)
        left = next(one for one in both if one.running)
        await until_kept(left, broker)
        left.stop()
        events, inputs = await everything_in(broker, ANNOTATION_EVENTS), await everything_in(broker, STREAM)
    finally:
        for one in both:
            if one.running:
                one.kill()
        await broker.close()
    assert gone.exit_code == ANOTHER_WRITER
    assert "run one instance only" in gone.log
    assert [receipt.input.offset for receipt in receipts_in(events)] == [one.offset for one in inputs]
    assert rebuilt(events, tmp_path / "rebuilt.sqlite") == rows(left.state / "annotations.sqlite")
