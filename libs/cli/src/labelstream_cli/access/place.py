"""Where devices, people and API keys are kept: streams and requests as for trainings, and the resources bucket."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from labelstream.blobs.ports import Blobs
from labelstream.blobs.s3 import S3Blobs
from labelstream_cli.jobs.place import Place, Where, reached
from labelstream_cli.reaching import store_in_environment
from labelstream_cli.running import run, running_stack

T = TypeVar("T")


@dataclass(frozen=True)
class AccessPlace:
    """How streams, queues and records are reached."""

    place: Place
    resources: Blobs  # the resources bucket


def at_access(where: Where, work: Callable[[AccessPlace], Coroutine[Any, Any, T]]) -> T:
    """Run a command's work at the place; errors that explain themselves become one red line."""

    async def inside() -> T:
        async with reached(where) as place:
            store = store_in_environment("--url") if where.url is not None else running_stack(where.directory).store
            resources = S3Blobs(store, store.resources_bucket, place.health)
            try:
                return await work(AccessPlace(place, resources))
            finally:
                await resources.close()

    return run(inside())
