"""One broker, one store and one ingest for all tests of this folder, which stay in one process."""

from __future__ import annotations

import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from labelstream_local.rabbitmq import RabbitServer
from labelstream_local.seaweedfs import WeedServer

from .surroundings import Programs, Surroundings

sys.path.insert(0, str(Path(__file__).parents[2]))
from services.inference.tests.conftest import World, picture  # found from the root of the repository
from services.inference.tests.serving import Watched, served


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    """The servers, and an ingest of its own: it reads every event that there is."""
    broker = RabbitServer(tmp_path_factory.mktemp("rabbitmq"), plugins=("rabbitmq_stream",))
    store = WeedServer(tmp_path_factory.mktemp("seaweedfs"))
    try:
        broker.start()
        store.start()
        programs = Programs(tmp_path_factory.mktemp("annotating"), broker.settings, store.settings)
        programs.ingest()
        yield programs
        programs.stop_all()
    finally:
        for server in (broker, store):
            server.kill()
            server.stop()


@pytest_asyncio.fixture
async def around(ground: Programs, tmp_path: Path) -> AsyncIterator[Surroundings]:
    """What is the test's own."""
    made = Surroundings(tmp_path, ground.broker, ground.store)
    await made.open()
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture
def world(tmp_path: Path) -> World:
    """What stands around an inference service: a broker, a store and an exporter in memory."""
    return World(tmp_path)


@pytest.fixture
def draw() -> Callable[..., bytes]:
    """Draws a picture with coloured cells, which no other test draws: what follows its end is looked at by nobody."""
    salt = uuid.uuid4().bytes
    return lambda *cells: picture(*cells) + salt


@pytest.fixture
def inference(world: World) -> Any:
    """A running inference service with the model `m1`: its address, and what watches it."""

    @asynccontextmanager
    async def run(*, promoted: bool = True) -> AsyncIterator[tuple[str, Watched]]:
        async with world.replica() as client:
            if promoted:
                await world.promote("m1", 1)
                await world.until(lambda: world.health.is_ready)
            watched = Watched(client._transport.app)
            async with served(watched) as url:
                yield url, watched

    return run
