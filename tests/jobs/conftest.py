"""The job queues that the contract suite runs on: two takers each, as in two processes."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from labelstream.jobs.memory import MemoryJobQueue
from labelstream.jobs.ports import JobQueue
from labelstream.jobs.rabbitmq import RabbitJobQueue
from labelstream.service.health import Health


@pytest_asyncio.fixture(params=["memory", pytest.param("rabbitmq", marks=pytest.mark.broker)])
async def takers(request: pytest.FixtureRequest) -> AsyncIterator[tuple[JobQueue, JobQueue]]:
    if request.param == "memory":
        one = MemoryJobQueue()
        yield one, one.another()
        return
    settings = request.getfixturevalue("rabbitmq").settings
    first, second = (RabbitJobQueue(settings, Health(), f"taker-{n}") for n in range(2))
    yield first, second
    await first.close()
    await second.close()


@pytest.fixture
def queue() -> str:
    return f"jobs.test-{uuid.uuid4().hex}"
