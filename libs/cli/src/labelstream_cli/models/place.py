"""Where models are told of and lie: streams, requests and training data as for trainings, and the model bucket."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from labelstream.blobs.ports import Blobs
from labelstream.blobs.s3 import S3Blobs
from labelstream.service.settings import StoreSettings
from labelstream_cli.jobs.place import Place, Where, reached
from labelstream_cli.reaching import store_in_environment
from labelstream_cli.running import run, running_stack

T = TypeVar("T")


@dataclass(frozen=True)
class ModelsPlace:
    """How streams, queues and files are reached."""

    place: Place
    models: Blobs  # the model bucket


def at_models(where: Where, work: Callable[[ModelsPlace], Coroutine[Any, Any, T]]) -> T:
    """Run a command's work at the place; errors that explain themselves become one red line."""

    async def inside() -> T:
        async with reached(where) as place:
            store = _store(where)
            models = S3Blobs(store, store.model_bucket, place.health)
            try:
                return await work(ModelsPlace(place, models))
            finally:
                await models.close()

    return run(inside())


def _store(where: Where) -> StoreSettings:
    return store_in_environment("--url") if where.url is not None else running_stack(where.directory).store
