"""The two tracking servers: the double and a real one."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest

from trainer.mirror.api import Api
from trainer.mirror.changes import Tracking
from trainer.mirror.memory import MemoryTracking, Shown
from trainer.mirror.mlflow import MlflowTracking

from .reading import shown
from .story import World


@dataclass
class Server:
    """A tracking server: how to write to it, and what it shows."""

    tracking: Tracking
    shows: Callable[[str], Shown]
    look_every_s: float = 0.01


@pytest.fixture(params=["memory", "mlflow"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    """Each of the two, one after the other."""
    if request.param == "memory":
        tracking = MemoryTracking()
        yield Server(tracking, lambda project: tracking.projects[project])
        return
    mlflow = request.getfixturevalue("mlflow")
    api = Api(mlflow.url, mlflow.login)
    yield Server(MlflowTracking(api), lambda project: shown(mlflow.url, mlflow.login, project), 0.3)
    await api.close()


@pytest.fixture
async def world(server: Server) -> World:
    """What is mirrored to that server, in a project of its own."""
    world = World(server.tracking, f"p{uuid.uuid4().hex[:8]}", look_every_s=server.look_every_s)
    await world.prepare()
    return world
