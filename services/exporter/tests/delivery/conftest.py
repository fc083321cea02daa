"""The public API on doubles, started as a test needs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from exporter.delivery.serving import ApiBuckets, Serving
from exporter.delivery.settings import ApiGroup

from .world import Start, World, device, new_jwt_key, stopped, until, user


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(
        ApiGroup(
            jwt_keys=(new_jwt_key(tmp_path / "jwt.pem"),),
            address_hash_key=SecretStr("a key for addresses"),
            replica="one",
            grant_wait_s=0.05,
            audit_wait_s=1.0,
            refusals_every_s=0.02,
            access_fresh_s=0,
        )
    )


@pytest.fixture
async def start(world: World) -> AsyncIterator[Start]:
    """Start the API, with other settings where a test needs them, and call it."""
    async with AsyncExitStack() as stack:

        async def started(*, address: str = "192.0.2.1", ready: bool = True, **settings: Any) -> httpx.AsyncClient:
            own = world.settings.model_copy(update=settings)
            buckets = ApiBuckets(world.resources, world.uploads)
            serving = Serving.build(own, "default", buckets, world.broker, world.queue, world.health)
            running = asyncio.create_task(serving.run())
            stack.push_async_callback(stopped, running)
            await until(lambda: running.done() or not ready or world.health.is_ready)
            world.is_started = True
            transport = httpx.ASGITransport(serving.api, client=(address, 4711))
            return await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://api"))

        yield started


@pytest.fixture
async def client(world: World, start: Start) -> httpx.AsyncClient:
    """The API with a device, a person, and two models, the second of which serves."""
    await world.add(device(), user())
    await world.export("m1", "m2")
    await world.promote("m2", 1)
    return await start()
