"""Everything, the broker and the store as well, is killed once at a random moment. `CHAOS=<rounds>` runs it."""

import asyncio
import os
import random
from contextlib import suppress
from pathlib import Path

import pytest

from labelstream_local.services import NAMES, SERVERS
from labelstream_local.stack import Stack, down, up

from .conftest import Reference
from .course import options, told, undisturbed
from .drawing import shot
from .watching import all_ready, eventually, onlooker, predict, strays

ROUNDS = int(os.environ.get("CHAOS", "0"))
pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.skipif(ROUNDS == 0, reason="a round takes a minute and a half: say CHAOS=<rounds>")
@pytest.mark.parametrize("seed", range(max(ROUNDS, 1)))
async def test_kills_at_random_moments_change_nothing(reference: Reference, tmp_path: Path, seed: int) -> None:
    try:
        stack = await asyncio.to_thread(up, tmp_path / "stack", options(tmp_path))
        async with onlooker(stack) as see:
            over = asyncio.Event()
            killing = asyncio.create_task(_kill_each_once(stack, random.Random(seed), over))
            await undisturbed(see)
            over.set()
            await killing
            await eventually(lambda: all_ready(stack) and strays(stack) == [])
            course = await told(see)
            answer = predict(stack, shot("asked", "asked").image)
    finally:
        await asyncio.to_thread(down, tmp_path / "stack")
    assert course.settled() == reference.course.settled()
    assert course.asked_to_train() == reference.course.asked_to_train()
    assert [len(each) for each in (course.finished, course.exported, course.promoted)] == [1, 1, 1]
    assert (answer["model"], answer["dataset"]) == (course.promoted[0].model, course.requested[0].dataset.id)


async def _kill_each_once(stack: Stack, chance: random.Random, over: asyncio.Event) -> None:
    for program in chance.sample([*NAMES, *SERVERS], len(NAMES) + len(SERVERS)):
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), chance.uniform(1, 6))
            return
        stack.kill(program)
