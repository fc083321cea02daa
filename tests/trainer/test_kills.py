"""Kill -9 at random moments of a training: each epoch is told once, and the model is as good as undisturbed.

`CHAOS=1` runs it at length (`make chaos`).
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from labelstream.events.training import Metrics, TrainingFinished
from labelstream_local.rabbitmq import RabbitServer
from labelstream_local.seaweedfs import WeedServer
from trainer.engine.contract import TrainingSpec
from trainer.engine.process import Hear, run_training

from .drawn import ENOUGH, store_drawn
from .program import Program
from .watching import a_recipe, epochs_of, one, onlooker

AT_LENGTH = os.environ.get("CHAOS", "0") != "0"
KILLS = 10 if AT_LENGTH else 3
RECIPE = a_recipe(epochs=10, batch=4)

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow, pytest.mark.timeout(1800 if AT_LENGTH else 600)]


@pytest.mark.parametrize("seed", range(int(os.environ.get("CHAOS", "0")) or 1))
async def test_a_training_comes_to_the_same_model_whenever_its_worker_or_its_engine_is_killed(
    fresh_rabbitmq: RabbitServer,
    fresh_seaweedfs: WeedServer,
    tmp_path: Path,
    seed: int,
    record_property: Callable[[str, object], None],
) -> None:
    chance = random.Random(seed)
    program = Program("trainer", tmp_path, fresh_rabbitmq, fresh_seaweedfs)
    async with onlooker(fresh_rabbitmq, fresh_seaweedfs) as see:
        dataset = await store_drawn(see.blobs, ENOUGH)
        program.start()
        try:
            await see.ask(dataset, RECIPE)
            for epoch in sorted(chance.sample([*range(RECIPE.epochs - 1)] * 2, KILLS)):
                if epoch > 0:
                    await see.until_epoch(epoch)
                await asyncio.sleep(chance.uniform(0, 3))  # into whatever it does next
                await asyncio.to_thread(kill_some, program, chance)
            job = one(await see.until_ended())
        finally:
            program.stop()
    assert isinstance(job.ended, TrainingFinished)
    assert None not in (job.ended.evaluation, job.ended.report, job.ended.card)
    assert epochs_of(job) == list(range(1, RECIPE.epochs + 1))
    undisturbed = await _undisturbed(program.scratch / "datasets" / dataset.id, tmp_path / "undisturbed")
    for name, found in (("killed", job.ended.test), ("undisturbed", undisturbed)):
        record_property(f"mAP50 {name}", found.map50)
        figures = f"mAP50 {found.map50:.4f}, mAP50-95 {found.map50_95:.4f}"
        sys.stdout.write(f"{name}: {figures}; {len(job.attempts)} attempts, {len(job.recoveries)} recoveries\n")
    assert job.ended.test.map50 == pytest.approx(undisturbed.map50, abs=0.03)


def kill_some(program: Program, chance: random.Random) -> None:
    """Kill the service, its engine, or both; what watches over the service starts it again."""
    process = program.process
    engines = process.children(recursive=True)
    victims = chance.choice([[process], engines or [process], [process, *engines]])
    for victim in victims:
        try:
            victim.kill()
        except psutil.NoSuchProcess:  # it ended by itself
            continue
    if process in victims:
        process.wait(60)
        psutil.wait_procs(engines, 60)
        program.start()


async def _undisturbed(data: Path, folder: Path) -> Metrics:
    async def hear(_: object) -> None:
        """Nobody needs to know."""

    spec = TrainingSpec(data=data, recipe=RECIPE, out_dir=folder)
    return (await run_training(spec, Hear(hear, hear), asyncio.Event())).test
