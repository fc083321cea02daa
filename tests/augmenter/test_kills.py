"""Kill -9 at random points: the same batches, the same archives to the byte, the same dataset.

`CHAOS=1` runs it at length (`make chaos`).
"""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest

from labelstream_local.rabbitmq import RabbitServer
from labelstream_local.seaweedfs import WeedServer

from .material import material
from .outcome import answered, outcome, undisturbed, until_answered
from .program import Program, looking_at

AT_LENGTH = os.environ.get("CHAOS", "0") != "0"
ANNOTATIONS, KILLS, COUNT = (1_000, 50, 8) if AT_LENGTH else (160, 5, 8)

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow, pytest.mark.timeout(3600 if AT_LENGTH else 300)]


@pytest.mark.parametrize("seed", [7])
async def test_the_dataset_is_the_same_whenever_the_augmenter_is_killed(
    fresh_rabbitmq: RabbitServer, fresh_seaweedfs: WeedServer, tmp_path: Path, seed: int
) -> None:
    written, chance = material(ANNOTATIONS, seed), random.Random(seed)
    expected = await undisturbed(written, COUNT, tmp_path)
    assert {rule for _, rule in expected.left_out} == {"image.missing", "image.changed"}
    program = Program(
        "augmenter", tmp_path, fresh_rabbitmq, fresh_seaweedfs, told={"BATCH_COUNT": str(COUNT), "BATCHES_AHEAD": "3"}
    )
    async with looking_at(fresh_rabbitmq, fresh_seaweedfs) as (broker, blobs):
        await written.write(broker, blobs)
        points = sorted(chance.choices(range(len(expected.batches) - 1), k=KILLS))
        for point in points:
            program.start()
            await until_answered(broker, point)
            await asyncio.sleep(chance.uniform(0, 1.5))  # into whatever it does next
            await asyncio.to_thread(program.kill)
        program.start()
        await until_answered(broker, len(expected.batches))
        await asyncio.to_thread(program.stop)
        assert await outcome(broker, blobs, tmp_path / "again.sqlite") == expected
        assert await answered(broker) == len(expected.batches)
