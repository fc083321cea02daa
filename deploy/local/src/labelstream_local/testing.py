"""Fixtures for pytest: a real RabbitMQ, SeaweedFS and MLflow, started when the first test asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import pytest

from labelstream_local.mlflow import MlflowServer, find_mlflow
from labelstream_local.process import StartFailed
from labelstream_local.rabbitmq import RabbitServer
from labelstream_local.seaweedfs import WeedServer

Server = TypeVar("Server", RabbitServer, WeedServer, MlflowServer)


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    """A broker shared by the session's tests: use streams and queues with names of your own."""
    yield from _running(RabbitServer(tmp_path_factory.mktemp("rabbitmq"), plugins=("rabbitmq_stream",)))


@pytest.fixture
def fresh_rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    """A broker for one test, which may kill() and restart() it."""
    yield from _running(RabbitServer(tmp_path_factory.mktemp("rabbitmq"), plugins=("rabbitmq_stream",)))


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WeedServer]:
    """An object store shared by the session's tests: use key prefixes of your own."""
    yield from _running(WeedServer(tmp_path_factory.mktemp("seaweedfs")))


@pytest.fixture
def fresh_seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WeedServer]:
    """An object store for one test, which may kill() and restart() it."""
    yield from _running(WeedServer(tmp_path_factory.mktemp("seaweedfs")))


@pytest.fixture(scope="session")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """An MLflow shared by the session's tests: use projects of your own."""
    yield from _running(_mlflow(tmp_path_factory))


@pytest.fixture
def fresh_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """An MLflow for one test, which may kill() and start() it."""
    yield from _running(_mlflow(tmp_path_factory))


def _mlflow(folders: pytest.TempPathFactory) -> MlflowServer:
    try:
        find_mlflow()
    except StartFailed as problem:
        pytest.skip(str(problem))
    return MlflowServer(folders.mktemp("mlflow"))


def _running(server: Server) -> Iterator[Server]:
    try:
        server.start()
        yield server
    finally:
        server.kill()  # nobody wants the data
        server.stop()
