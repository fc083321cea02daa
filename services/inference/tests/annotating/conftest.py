"""The worker's surroundings, on a real broker and a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from .surroundings import Surroundings, Watched, served


@pytest_asyncio.fixture
async def around(fresh_rabbitmq: Any, fresh_seaweedfs: Any, tmp_path: Path) -> AsyncIterator[Surroundings]:
    made = Surroundings(tmp_path, fresh_rabbitmq.settings, fresh_seaweedfs.settings)
    await made.open()
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture
def inference(world: Any) -> Any:
    """A running inference service with the model `m1`: its address, and what watches it."""

    @asynccontextmanager
    async def run(*, promoted: bool = True, **changes: Any) -> AsyncIterator[tuple[str, Watched]]:
        async with world.replica(**changes) as client:
            if promoted:
                await world.promote("m1", 1)
                await world.until(lambda: world.health.is_ready)
            watched = Watched(client._transport.app)
            async with served(watched) as url:
                yield url, watched

    return run
