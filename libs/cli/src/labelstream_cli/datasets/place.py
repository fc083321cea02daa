"""Where a project's datasets lie: the broker that tells of them, and the store that holds them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from labelstream.blobs.ports import Blobs
from labelstream.blobs.s3 import S3Blobs
from labelstream.producer import broker_settings
from labelstream.service.health import Health
from labelstream.service.settings import BrokerSettings, StoreSettings
from labelstream.streams.ports import Broker
from labelstream.values import digest_of
from labelstream_cli.reaching import Tell, bars, broker_at, store_in_environment
from labelstream_cli.running import CommandFailed, run, stack_with

T = TypeVar("T")

NAME = "labelstream dataset"


@dataclass(frozen=True)
class Place:
    """A project, and how its streams and files are reached."""

    project: str
    broker: Broker
    blobs: Blobs
    cache: Path  # a directory for views that can be thrown away
    health: Health
    tell: Tell  # shows how far something is


@dataclass(frozen=True)
class Where:
    """What a person says of the place."""

    directory: Path
    project: str
    url: str | None = None  # of another broker; the store is then told by the environment
    quiet: bool = False  # show no progress


def at_place(where: Where, work: Callable[[Place], Coroutine[Any, Any, T]]) -> T:
    """Run a command's work at the place; errors that explain themselves become one red line."""

    async def inside() -> T:
        async with _reached(where) as place:
            return await work(place)

    return run(inside())


@asynccontextmanager
async def _reached(where: Where) -> AsyncIterator[Place]:
    broker_told, store_told, cache = _settings(where)
    health = Health()
    blobs = S3Blobs(store_told, store_told.data_bucket, health)
    try:
        async with broker_at(broker_told, NAME) as broker:
            with bars(quiet=where.quiet) as tell:
                yield Place(where.project, broker, blobs, cache, health, tell)
    finally:
        await blobs.close()


def _settings(where: Where) -> tuple[BrokerSettings, StoreSettings, Path]:
    """Return how broker and store are reached, and where views are kept. Raises CommandFailed, Misconfigured."""
    if where.url is not None:
        broker = broker_settings(where.url)
        place = digest_of([broker.host, broker.stream_port, broker.vhost])[:16]
        return broker, store_in_environment("--url"), _cache_home() / "labelstream" / "views" / place
    try:
        stack = stack_with(where.directory, where.project)
    except CommandFailed as error:
        raise CommandFailed(
            f"{error}\nAnother broker is named with --url, and its store by the environment."
        ) from error
    return stack.broker, stack.store, stack.layout.state("cli")


def _cache_home() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
