"""Store and broker go away in the middle of a training, for longer than a lease lasts: it goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from labelstream.events.training import TrainingFinished
from labelstream_local.rabbitmq import RabbitServer
from labelstream_local.seaweedfs import WeedServer

from .drawn import ENOUGH, store_drawn
from .program import LEASE_S, Program
from .watching import a_recipe, epochs_of, one, onlooker, until

RECIPE = a_recipe(epochs=12, batch=4)

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow, pytest.mark.timeout(600)]


async def test_a_training_outlives_a_store_and_a_broker_that_are_away_for_longer_than_its_lease(
    fresh_rabbitmq: RabbitServer, fresh_seaweedfs: WeedServer, tmp_path: Path
) -> None:
    decider = Program("decider", tmp_path, fresh_rabbitmq, fresh_seaweedfs, told={"WORK": "false"})
    worker, rival = (
        Program(name, tmp_path, fresh_rabbitmq, fresh_seaweedfs, role=("work",)) for name in ("worker", "rival")
    )
    async with onlooker(fresh_rabbitmq, fresh_seaweedfs) as see:
        dataset = await store_drawn(see.blobs, ENOUGH)
        await see.ask(dataset, RECIPE)
        try:
            decider.start()
            worker.start()
            await see.until_epoch(1)
            await asyncio.to_thread(rival.start)  # would take the job, if it could

            await asyncio.to_thread(fresh_seaweedfs.kill)
            seen = len(worker.said("epoch.ended"))
            await asyncio.sleep(2 * LEASE_S)
            await until(lambda: len(worker.said("epoch.ended")) > seen)  # it trains on
            await asyncio.to_thread(fresh_seaweedfs.restart)

            await asyncio.to_thread(fresh_rabbitmq.kill)
            await asyncio.sleep(2 * LEASE_S)
            await asyncio.to_thread(fresh_rabbitmq.restart)
            job = one(await see.until_ended())
        finally:
            for program in (decider, worker, rival):
                await asyncio.to_thread(program.stop)

    assert isinstance(job.ended, TrainingFinished)
    assert [(begun.attempt, begun.worker) for begun in job.attempts] == [(1, "worker")]
    assert epochs_of(job) == list(range(1, RECIPE.epochs + 1))
    assert [line["epoch"] for line in worker.said("epoch.ended")] == epochs_of(job)
