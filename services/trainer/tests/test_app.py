"""The decider as it is put together: what it checks before it decides."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from pydantic import SecretStr

from labelstream.blobs.memory import MemoryBlobs
from labelstream.errors import Misconfigured
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.jobs.memory import MemoryJobQueue
from labelstream.service.health import Health
from labelstream.service.settings import BrokerSettings, StoreSettings
from labelstream.streams.memory import MemoryBroker
from labelstream.view import AnnotationView
from trainer.app import run
from trainer.settings import TrainerGroup, TrainerSettings

SECRET = SecretStr("a secret of a test alone")


class Careless(MemoryBlobs):
    """A store that ignores If-None-Match."""

    async def create(self, key: str, data: bytes) -> str | None:
        return await self.put(key, data)


def settings(state_dir: Path) -> TrainerSettings:
    return TrainerSettings(
        broker=BrokerSettings(username="nobody", password=SECRET),
        store=StoreSettings(endpoint_url="http://127.0.0.1:1", access_key="nobody", secret_key=SECRET),
        state_dir=state_dir,
        trainer=TrainerGroup(min_new=0, poll_s=0.01),
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
