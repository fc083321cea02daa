"""A worker announces what it can build for as long as it lives."""

from __future__ import annotations

import asyncio

from exporter.work.announcing import Announcing
from labelstream.blobs.memory import MemoryBlobs
from labelstream.errors import Unavailable
from labelstream.exports import Capability, announcements
from labelstream.service.health import Health

CAN = (
    Capability(family="onnx", queue="jobs.export.onnx"),
    Capability(family="openvino", queue="jobs.export.openvino"),
    Capability(family="openvino", queue="jobs.export.openvino"),
)


class Store(MemoryBlobs):
    """A store that counts what is written, and is away for the first two times."""

    def __init__(self) -> None:
        super().__init__()
        self.refusals, self.writes = 2, 0
        self.renewed = asyncio.Event()

    async def put(self, key: str, data: bytes) -> str:
        if self.refusals:
            self.refusals -= 1
            raise Unavailable("object store", "it wakes up")
        self.writes += 1
        if self.writes == 3:
            self.renewed.set()
        return await super().put(key, data)


async def test_a_worker_says_what_it_can_build_and_says_it_again():
    blobs = Store()
    announcing = Announcing(blobs, "w1", CAN, Health(), valid_s=0.06)
    running = asyncio.create_task(announcing.run())
    await asyncio.wait_for(blobs.renewed.wait(), 20)
    running.cancel()
    await asyncio.wait([running])
    await Announcing(blobs, "w1", CAN, Health())._announce()
    assert [(each.worker, each.capabilities) for each in await announcements(blobs)] == [("w1", CAN)]


def test_a_worker_takes_the_jobs_of_each_queue_once():
    announcing = Announcing(MemoryBlobs(), "w1", CAN, Health())
    assert announcing.queues == ("jobs.export.onnx", "jobs.export.openvino")
