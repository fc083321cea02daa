"""Kill -9 at random points: every message still has its one receipt, and the receipts say the same.

`CHAOS=1` runs it at length (`make chaos`).
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from pathlib import Path

import pytest

from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream_local.rabbitmq import RabbitServer
from labelstream_local.seaweedfs import WeedServer

from .program import INPUT, Program, everything_in, looking_at, until_answered, until_kept
from .traffic import traffic
from .undisturbed import rebuilt, receipts_in, rows, told, undisturbed
from .writing import write

AT_LENGTH = os.environ.get("CHAOS", "0") != "0"
MESSAGES, KILLS, BROKER_KILLS = (5_000, 100, 5) if AT_LENGTH else (600, 8, 1)
STREAM = str(INPUT["stream"])

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow, pytest.mark.timeout(3600 if AT_LENGTH else 300)]


@pytest.mark.parametrize("seed", [7])
async def test_receipts_add_up_whatever_is_killed(
    fresh_rabbitmq: RabbitServer, fresh_seaweedfs: WeedServer, tmp_path: Path, seed: int
) -> None:
    messages = traffic(MESSAGES, seed)
    program = Program(tmp_path, fresh_rabbitmq.settings, fresh_seaweedfs.settings)
    async with looking_at(fresh_rabbitmq) as broker:
        await broker.ensure_stream(STREAM)
        await write(fresh_rabbitmq.settings, STREAM, messages)
        program.start()
        await _kill_at_random(program, fresh_rabbitmq, broker, random.Random(seed))
        await until_answered(broker, MESSAGES)
        await until_kept(program, broker)
        program.stop()
        events, inputs = await everything_in(broker, ANNOTATION_EVENTS), await everything_in(broker, STREAM)
    receipts = receipts_in(events)
    assert [one.raw for one in inputs] == messages
    assert [receipt.input.offset for receipt in receipts] == [one.offset for one in inputs]
    assert told(receipts, inputs) == await undisturbed(messages, program.settings())
    assert rebuilt(events, tmp_path / "rebuilt.sqlite") == rows(program.state / "annotations.sqlite")
    outcomes = Counter(outcome.outcome for receipt in receipts for outcome in receipt.outcomes)
    assert {"recorded", "edited", "validated", "deleted", "duplicated", "held", "rejected"} <= outcomes.keys()


async def _kill_at_random(program: Program, rabbit: RabbitServer, broker: RabbitBroker, chance: random.Random) -> None:
    """Kill the service each time that so many receipts are there, and the broker at some of these times."""
    points = sorted(chance.sample(range(1, MESSAGES - 1), KILLS))
    of_broker = set(chance.sample(points, BROKER_KILLS))
    for point in points:
        await until_answered(broker, point)
        await asyncio.sleep(chance.uniform(0, 0.3))  # into whatever it does next
        if point in of_broker:
            await asyncio.to_thread(_kill_and_restart, rabbit)
        await asyncio.to_thread(program.kill)
        program.start()


def _kill_and_restart(rabbit: RabbitServer) -> None:
    rabbit.kill()
    rabbit.restart()
