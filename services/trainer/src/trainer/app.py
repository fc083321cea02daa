"""Wires the trainer: settings → adapters → decider and worker → tasks."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from labelstream.blobs.leases import Leases
from labelstream.blobs.ports import Blobs
from labelstream.blobs.probe import probe_conditional_writes
from labelstream.blobs.s3 import S3Blobs
from labelstream.events.base import ANNOTATION_EVENTS, TRAINING_EVENTS
from labelstream.jobs.desk import Desk
from labelstream.jobs.ports import JobQueue
from labelstream.jobs.rabbitmq import RabbitJobQueue
from labelstream.jobs.worker import Worker
from labelstream.service.health import Health
from labelstream.service.http import health_app, serve_http
from labelstream.service.patience import patiently
from labelstream.service.ticking import every
from labelstream.streams.following import follow
from labelstream.streams.journal import Journal
from labelstream.streams.ports import Broker, Start
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream.view import AnnotationView
from labelstream.view.foreign import discard_if_foreign
from labelstream.view.snapshots import restore_snapshot
from labelstream_datasets.building.following import follow_batches
from labelstream_datasets.building.index import BatchIndex
from trainer.domain import JobBook
from trainer.handler import NAME, Decider
from trainer.orders import QUEUE
from trainer.recipe import load_recipe
from trainer.settings import TrainerSettings
from trainer.worker import TrainingWork


async def decide(settings: TrainerSettings, health: Health) -> None:
    """Run `trainer`: the decider and, unless it is told not to, a worker."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve_http(health_app(health), settings.http_host, settings.http_port))
        tasks.create_task(_decide(settings, health))
        if settings.trainer.work:
            tasks.create_task(_work(settings, health))


async def work(settings: TrainerSettings, health: Health) -> None:
    """Run `trainer work`: a worker alone, on another machine."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve_http(health_app(health), settings.http_host, settings.http_port))
        tasks.create_task(_work(settings, health))


async def _decide(settings: TrainerSettings, health: Health) -> None:
    async with AsyncExitStack() as stack:
        broker = RabbitBroker(settings.broker, health, NAME)
        stack.push_async_callback(broker.close)
        blobs = S3Blobs(settings.store, settings.store.data_bucket, health)
        stack.push_async_callback(blobs.close)
        queue = RabbitJobQueue(settings.broker, health, NAME)
        stack.push_async_callback(queue.close)
        await run(settings, health, broker, blobs, queue)


async def run(settings: TrainerSettings, health: Health, broker: Broker, blobs: Blobs, queue: JobQueue) -> None:
    """Decide until cancelled."""
    own = settings.trainer
    file = settings.state_dir / "annotations.sqlite"
    await restore_snapshot(file, blobs, health)
    book, view, index = JobBook(), AnnotationView(file), BatchIndex()
    journal = Journal(broker, TRAINING_EVENTS, [NAME], book.fold, health)
    decider = Decider(
        journal=journal,
        book=book,
        view=view,
        index=index,
        queue=queue,
        desk=Desk(queue, Leases(blobs, NAME, own.lease_s), blobs),
        blobs=blobs,
        recipe=load_recipe(own.recipe),
        projects=settings.projects,
        settings=own,
        health=health,
    )
    try:
        await patiently(health, "object store", lambda: probe_conditional_writes(blobs))
        await discard_if_foreign(view, broker, ANNOTATION_EVENTS, health)
        await journal.open()
        start: Start = "first" if view.position is None else view.position + 1
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(follow(broker, ANNOTATION_EVENTS, start, view.apply, health, caught_up=view.commit))
            tasks.create_task(follow_batches(broker, blobs, index, health))
            tasks.create_task(every(own.poll_s, decider.tick, health))
    finally:
        await journal.close()
        view.close()


async def _work(settings: TrainerSettings, health: Health) -> None:
    own = settings.trainer
    async with AsyncExitStack() as stack:
        blobs = S3Blobs(settings.store, settings.store.data_bucket, health)
        stack.push_async_callback(blobs.close)
        queue = RabbitJobQueue(settings.broker, health, "trainer-work")
        stack.push_async_callback(queue.close)
        scratch = settings.scratch_dir or settings.state_dir / "scratch"
        leases = Leases(blobs, own.worker, own.lease_s)
        await Worker(QUEUE, queue, leases, blobs, health, TrainingWork(blobs, health, scratch).do).run()
