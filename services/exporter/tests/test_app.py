"""The decider as it is put together: what it checks before it decides."""

from __future__ import annotations

import asyncio
import json

import pytest
from pydantic import SecretStr

from exporter.app import Buckets, Deciding
from exporter.settings import DeciderGroup, DeciderSettings
from labelstream.blobs.memory import MemoryBlobs
from labelstream.errors import Misconfigured
from labelstream.events.base import ACCESS_EVENTS, MODEL_EVENTS, TRAINING_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.service.settings import BrokerSettings, StoreSettings

from .stand import ONNX, Exporter

SECRET = SecretStr("a secret of a test alone")


class Careless(MemoryBlobs):
    """A store that ignores If-None-Match."""

    async def create(self, key: str, data: bytes) -> str | None:
        return await self.put(key, data)


def settings(tmp_path, group: DeciderGroup) -> DeciderSettings:
    return DeciderSettings(
        broker=BrokerSettings(username="nobody", password=SECRET),
        store=StoreSettings(endpoint_url="http://127.0.0.1:1", access_key="nobody", secret_key=SECRET),
        state_dir=tmp_path,
        exporter=group,
    )


def deciding(told: DeciderSettings, exporter: Exporter, buckets: Buckets) -> Deciding:
    return Deciding.of(told, exporter.health, exporter.broker, buckets, exporter.queue)


async def test_it_answers_the_trainings_of_the_stream(tmp_path, group, exporter):
    await exporter.train("t1")
    envelope = Envelope.of(exporter.finished[0], source="trainer", answers="t1", project="default")
    for stream in (TRAINING_EVENTS, MODEL_EVENTS, ACCESS_EVENTS):
        await exporter.broker.ensure_stream(stream)
    await exporter.broker.publisher(TRAINING_EVENTS, "trainer").publish([(1, envelope.to_message())])
    buckets = Buckets(exporter.data, exporter.models, exporter.resources)
    told = settings(tmp_path, group.model_copy(update={"formats": (ONNX,)}))
    running = asyncio.create_task(deciding(told, exporter, buckets).run())
    async with asyncio.timeout(20):
        while exporter.said() != ["exported onnx-fp32", "promoted by policy"]:
            assert not running.done()
            await exporter.work()
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()


async def test_weights_that_a_killed_decider_left_unsealed_are_removed(tmp_path, group, exporter):
    for name in ("publishing", "twins"):
        (tmp_path / name / "m1").mkdir(parents=True)
    buckets = Buckets(Careless(), exporter.models, exporter.resources)
    with pytest.raises(Misconfigured):
        await deciding(settings(tmp_path, group), exporter, buckets).run()
    assert not {"publishing", "twins"} & {path.name for path in tmp_path.iterdir()}


async def test_a_store_on_which_two_workers_could_hold_one_lease_is_refused(tmp_path, group, exporter):
    buckets = Buckets(Careless(), exporter.models, exporter.resources)
    with pytest.raises(Misconfigured, match="If-None-Match"):
        await deciding(settings(tmp_path, group), exporter, buckets).run()


async def test_a_devices_file_with_a_wrong_recipient_stops_it_before_anything_is_said(tmp_path, group, exporter):
    path = tmp_path / "devices.json"
    path.write_text(json.dumps([{"name": "door", "recipient": "age1wrong", "token_sha256": "0" * 64}]))
    told = settings(tmp_path, group.model_copy(update={"devices": path}))
    buckets = Buckets(exporter.data, exporter.models, exporter.resources)
    with pytest.raises(Misconfigured, match="door"):
        await deciding(told, exporter, buckets).run()
    assert exporter.said() == []
