"""Where jobs are told of: the stream of the trainings, the queue of requests, and the store of what workers left."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from labelstream.blobs.ports import Blobs
from labelstream.blobs.s3 import S3Blobs
from labelstream.jobs.ports import JobQueue
from labelstream.jobs.rabbitmq import RabbitJobQueue
from labelstream.producer import broker_settings
from labelstream.service.health import Health
from labelstream.service.settings import BrokerSettings, Environment, StoreSettings, read_settings
from labelstream.streams.ports import Broker
from labelstream_cli.reaching import Tell, bars, broker_at, not_told, store_in_environment
from labelstream_cli.running import CommandFailed, run, running_stack, stack_with

T = TypeVar("T")


class _Ports(BaseModel):
    amqp_port: int | None = None


class _InEnvironment(Environment):
    """What a broker's address does not say."""

    broker: _Ports = _Ports()


NAME = "labelstream jobs"


@dataclass(frozen=True)
class Place:
    """How streams, queues and files are reached."""

    broker: Broker
    blobs: Blobs
    queue: JobQueue
    health: Health
    tell: Tell = not_told  # shows how far a stream is read
    store: StoreSettings | None = None  # of the blobs, for who needs another bucket of it


@dataclass(frozen=True)
class Where:
    """What a person says of the place."""

    directory: Path
    url: str | None = None  # of another broker; the store is then told by the environment
    project: str | None = None  # that the stack must have
    quiet: bool = False  # show no bars


def at_place(where: Where, work: Callable[[Place], Coroutine[Any, Any, T]]) -> T:
    """Run a command's work at the place; errors that explain themselves become one red line."""

    async def inside() -> T:
        async with reached(where) as place:
            return await work(place)

    return run(inside())


@asynccontextmanager
async def reached(where: Where) -> AsyncIterator[Place]:
    """Hold the place while inside. Raises CommandFailed when the stack is down, Misconfigured."""
    broker_told, store_told = _settings(where)
    health = Health()
    blobs = S3Blobs(store_told, store_told.data_bucket, health)
    queue = RabbitJobQueue(broker_told, health, NAME)
    try:
        async with broker_at(broker_told, NAME) as broker:
            with bars(quiet=where.quiet) as tell:
                yield Place(broker, blobs, queue, health, tell, store_told)
    finally:
        await queue.close()
        await blobs.close()


def _settings(where: Where) -> tuple[BrokerSettings, StoreSettings]:
    if where.url is not None:
        port = read_settings(_InEnvironment).broker.amqp_port
        told = broker_settings(where.url)
        broker = told if port is None else told.model_copy(update={"amqp_port": port})
        return broker, store_in_environment("--url")
    try:
        stack = stack_with(where.directory, where.project) if where.project else running_stack(where.directory)
    except CommandFailed as error:
        raise CommandFailed(
            f"{error}\nAnother broker is named with --url, and its store by the environment."
        ) from error
    return stack.broker, stack.store
