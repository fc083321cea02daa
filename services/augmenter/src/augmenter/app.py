"""Wires the augmenter: settings → adapters → pipelines (one a project) and workers → tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib import metadata

from augmenter.adapters.pool import RenderPool
from augmenter.domain import Limits
from augmenter.handler import Augmenter
from augmenter.making import Maker, Workshop, memory_factor
from augmenter.orders import QUEUE
from augmenter.pipeline import Pipeline
from augmenter.recipe import LIBRARIES, Recipe, load_recipe
from augmenter.room import Room
from augmenter.settings import AugmenterGroup, AugmenterSettings
from augmenter.sharing import Sharing
from augmenter.store import Store
from augmenter.worker import ArchiveWork, OwnKind
from labelstream.blobs.leases import Leases
from labelstream.blobs.ports import Blobs
from labelstream.blobs.s3 import S3Blobs
from labelstream.errors import Misconfigured
from labelstream.jobs.desk import Desk
from labelstream.jobs.ports import JobQueue
from labelstream.jobs.rabbitmq import RabbitJobQueue
from labelstream.jobs.worker import Worker
from labelstream.service.health import Health
from labelstream.service.http import health_app, serve_http
from labelstream.streams.rabbitmq import RabbitBroker

NAME = "augmenter"
JOBS_AT_ONCE = 2  # of a worker, so that its processes have work while an archive is stored


async def decide(settings: AugmenterSettings, health: Health) -> None:
    """Run `augmenter`: the decider, which also makes the archives unless it is told otherwise."""
    group = settings.augmenter
    recipe = load_recipe(group.recipe)
    refuse_too_large_batches(group, recipe)
    health.fact("recipe", {"name": recipe.name, "digest": recipe.digest})
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    async with _hall(settings, health) as hall, AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        broker = RabbitBroker(settings.broker, health, NAME)
        stack.push_async_callback(broker.close)
        maker: Maker = hall.workshop
        if group.share:
            desk = Desk(hall.queue, Leases(hall.blobs, NAME, group.lease_s), hall.blobs)
            maker = Sharing(hall.store, desk, hall.workshop, group.poll_s)
            if group.work:
                hall.work(tasks)
        augmenter = Augmenter(maker, recipe, Limits(group.batch_count, group.batch_bytes, group.batch_age_s))
        for project in settings.projects:
            path = settings.state_dir / f"augmenter-{project}.sqlite"
            tasks.create_task(Pipeline(project, broker, augmenter, hall.store, path, group.ahead).run())


async def work(settings: AugmenterSettings, health: Health) -> None:
    """Run `augmenter work`: a worker alone, on another machine."""
    health.fact("libraries", {name: metadata.version(name) for name in LIBRARIES})
    async with _hall(settings, health) as hall, asyncio.TaskGroup() as tasks:
        hall.work(tasks)


@dataclass(frozen=True)
class Hall:
    """What both roles have: a store, a queue, and the processes that render."""

    settings: AugmenterGroup
    health: Health
    blobs: Blobs
    queue: JobQueue
    workshop: Workshop

    @property
    def store(self) -> Store:
        """The store, which is waited for."""
        return self.workshop.store

    def work(self, tasks: asyncio.TaskGroup) -> None:
        """Take archives from the queue until cancelled."""
        for number in range(JOBS_AT_ONCE):
            leases = Leases(self.blobs, f"{self.settings.worker}-{number}", self.settings.lease_s)
            do = ArchiveWork(self.store, self.workshop).do
            queue = OwnKind(self.queue, self.health)
            tasks.create_task(Worker(QUEUE, queue, leases, self.blobs, self.health, do).run())


@asynccontextmanager
async def _hall(settings: AugmenterSettings, health: Health) -> AsyncIterator[Hall]:
    """Open what both roles have, and answer HTTP."""
    group = settings.augmenter
    async with AsyncExitStack() as stack:
        blobs = S3Blobs(settings.store, settings.store.data_bucket, health)
        stack.push_async_callback(blobs.close)
        queue = RabbitJobQueue(settings.broker, health, NAME)
        stack.push_async_callback(queue.close)
        pool = stack.enter_context(RenderPool(group.workers, group.render_timeout_s))
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        web = tasks.create_task(serve_http(health_app(health), settings.http_host, settings.http_port))
        yield Hall(group, health, blobs, queue, Workshop(Store(blobs, health), pool, Room(group.memory_bytes)))
        web.cancel()


def refuse_too_large_batches(group: AugmenterGroup, recipe: Recipe) -> None:
    """Raise Misconfigured when the archive of one full batch would take more memory than there is to be."""
    needed = group.batch_bytes * memory_factor(recipe)
    if needed > group.memory_bytes:
        raise Misconfigured(
            f"a batch of {group.batch_bytes} bytes of images takes about {needed} bytes with recipe {recipe.name!r} "
            f"({recipe.count} variants), but memory_bytes is {group.memory_bytes}: set "
            f"LABELSTREAM_AUGMENTER__BATCH_BYTES to {group.memory_bytes // memory_factor(recipe)} or less, or "
            f"LABELSTREAM_AUGMENTER__MEMORY_BYTES to {needed} or more"
        )
