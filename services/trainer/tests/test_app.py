"""The decider as it is put together: what it checks before it decides."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from labelstream.blobs.memory import MemoryBlobs
from labelstream.errors import Misconfigured
from labelstream.events.base import ANNOTATION_EVENTS, MODEL_EVENTS, TRAINING_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.jobs.memory import MemoryJobQueue
from labelstream.service.health import Health
from labelstream.service.settings import BrokerSettings, StoreSettings
from labelstream.streams.memory import MemoryBroker
from labelstream.view import AnnotationView
from trainer.app import run
from trainer.orders import QUEUE, TrainingOrder
from trainer.settings import TrainerGroup, TrainerSettings

from .deeds import promoted, train

SECRET = SecretStr("a secret of a test alone")


class Careless(MemoryBlobs):
    """A store that ignores If-None-Match."""

    async def create(self, key: str, data: bytes) -> str | None:
        return await self.put(key, data)


def settings(state_dir: Path, **own: Any) -> TrainerSettings:
    return TrainerSettings(
        broker=BrokerSettings(username="nobody", password=SECRET),
        store=StoreSettings(endpoint_url="http://127.0.0.1:1", access_key="nobody", secret_key=SECRET),
        state_dir=state_dir,
        trainer=TrainerGroup(**{"min_new": 0, "poll_s": 0.01, **own}),
    )


async def test_a_view_of_a_stream_that_was_made_anew_is_read_again_from_its_first_event(tmp_path, annotations):
    old = AnnotationView(tmp_path / "annotations.sqlite")
    old.apply(50, annotations.settled(50, annotations.recorded("old", "train")))
    old.close()
    broker, health = MemoryBroker(), Health()
    await broker.ensure_stream(ANNOTATION_EVENTS)
    message = annotations.settled(0, annotations.recorded("new", "train")).to_message()
    await broker.publisher(ANNOTATION_EVENTS, "ingest").publish([(1, message)])
    running = asyncio.create_task(run(settings(tmp_path), health, broker, MemoryBlobs(), MemoryJobQueue()))
    async with asyncio.timeout(20):
        while ANNOTATION_EVENTS not in health.report().get("streams", {}):
            assert not running.done()
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])
    view = AnnotationView(tmp_path / "annotations.sqlite")
    assert [entry.name for entry in view.validated("default")] == ["new"]
    view.close()


async def test_a_store_on_which_two_workers_could_hold_one_lease_is_refused(tmp_path):
    with pytest.raises(Misconfigured, match="If-None-Match"):
        await run(settings(tmp_path), Health(), MemoryBroker(), Careless(), MemoryJobQueue())


async def test_a_schedule_that_can_not_be_understood_is_refused_before_anything_is_read(tmp_path):
    broker = MemoryBroker()
    with pytest.raises(Misconfigured, match="LABELSTREAM_TRAINER__SCHEDULE = 'at night'"):
        await run(settings(tmp_path, schedule="at night"), Health(), broker, MemoryBlobs(), MemoryJobQueue())
    assert broker.stored(TRAINING_EVENTS) is None


async def test_a_job_is_offered_once_it_is_known_which_model_serves(trainer, tmp_path):
    await trainer.ask(trainer.annotate())
    await (await trainer.started()).tick()
    await trainer.until_ended(train)
    finished = trainer.events()[-1]
    await trainer.ask(trainer.annotate())
    await (await trainer.started()).tick()
    while await trainer.queue.take(QUEUE, wait_s=0):  # offers of this test's deciders, who follow no models
        pass
    await trainer.broker.ensure_stream(MODEL_EVENTS)
    told = [
        (number, Envelope.of(event, source="exporter", answers=str(number), project="default").to_message())
        for number, event in enumerate(promoted("model-1", finished.job), 1)
    ]
    await trainer.broker.publisher(MODEL_EVENTS, "exporter").publish(told)
    running = asyncio.create_task(
        run(settings(tmp_path / "new"), Health(), trainer.broker, trainer.blobs, trainer.queue)
    )
    taken = await trainer.queue.take(QUEUE, wait_s=20)
    running.cancel()
    await asyncio.wait([running])
    champion = TrainingOrder.model_validate(taken.job.payload).champion
    assert (champion.id, champion.weights) == ("model-1", finished.weights)
