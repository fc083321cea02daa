"""Wires the trainer: settings → adapters → decider, worker and mirror → tasks."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from labelstream.blobs.ports import Blobs
from labelstream.blobs.probe import probe_conditional_writes
from labelstream.blobs.s3 import S3Blobs
from labelstream.events.base import ANNOTATION_EVENTS, MODEL_EVENTS, TRAINING_EVENTS
from labelstream.jobs.ports import JobQueue
from labelstream.jobs.rabbitmq import RabbitJobQueue
from labelstream.service.health import Health
from labelstream.service.http import health_app, serve_http
from labelstream.service.patience import patiently
from labelstream.service.ticking import every
from labelstream.streams.following import follow
from labelstream.streams.journal import Journal
from labelstream.streams.ports import Broker, Start
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream.trainings import JobBook
from labelstream.view import AnnotationView
from labelstream.view.foreign import discard_if_foreign
from labelstream.view.snapshots import restore_snapshot
from labelstream_datasets.building.following import follow_batches
from trainer import metrics
from trainer.deciding.annotated import Annotated
from trainer.deciding.parts import Parts
from trainer.deciding.policy import Policy
from trainer.deciding.requesting import dataset_fact
from trainer.erasing import ReportEraser
from trainer.handler import NAME
from trainer.recipe import load_recipe
from trainer.settings import TrainerSettings
from trainer.work import wiring


async def decide(settings: TrainerSettings, health: Health) -> None:
    """Run `trainer`: the decider and, unless it is told otherwise, a worker; and the mirror, if there is one."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve_http(health_app(health), settings.http_host, settings.http_port))
        tasks.create_task(_decide(settings, health))
        if settings.trainer.work:
            tasks.create_task(wiring.work(settings, health))
        if settings.trainer.mlflow_url:
            from trainer.mirror.wiring import mirror  # noqa: PLC0415  # few want it

            tasks.create_task(mirror(settings, health))


async def work(settings: TrainerSettings, health: Health) -> None:
    """Run `trainer work`: a worker alone, on another machine."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve_http(health_app(health), settings.http_host, settings.http_port))
        tasks.create_task(wiring.work(settings, health))


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
    """Decide until cancelled. Raises Misconfigured."""
    own = settings.trainer
    policy, recipe = Policy.of(own), load_recipe(own.recipe)
    file = settings.state_dir / "annotations.sqlite"
    await restore_snapshot(file, blobs, health)
    book, view = JobBook(keep_epochs=False), AnnotationView(file)
    journal = Journal(broker, TRAINING_EVENTS, [NAME], book.fold, health)
    parts = Parts(
        view, journal, queue, blobs, own, settings.projects, policy, recipe, health, book,
        annotated_ms=Annotated(view, broker).newest_ms,
    )  # fmt: skip
    try:
        await patiently(health, "object store", lambda: probe_conditional_writes(blobs))
        await discard_if_foreign(view, broker, ANNOTATION_EVENTS, health)
        metrics.introduce(settings.projects)
        await journal.open()
        if book.jobs:
            newest = list(book.jobs.values())[-1]
            health.fact("dataset", dataset_fact(newest.requested.dataset, newest.project))
        await _follow_and_tick(parts, broker)
    finally:
        await journal.close()
        view.close()


async def _follow_and_tick(parts: Parts, broker: Broker) -> None:
    view, health, decider = parts.view, parts.health, parts.decider()
    models_known = asyncio.Event()

    def annotations_read() -> None:
        view.commit()
        decider.deciding.caught_up = True

    async def tick() -> None:
        await models_known.wait()  # a job is offered together with the champion that it is compared with
        await every(parts.own.poll_s, decider.tick, health)

    start: Start = "first" if view.position is None else view.position + 1
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(
            follow(broker, ANNOTATION_EVENTS, start, view.apply, health, caught_up=annotations_read, reader=NAME)
        )
        tasks.create_task(follow_batches(broker, parts.blobs, parts.index, health, NAME, parts.traces.fold))
        models = parts.champions.fold
        tasks.create_task(
            follow(broker, MODEL_EVENTS, "first", models, health, caught_up=models_known.set, reader=NAME)
        )
        tasks.create_task(tick())
        reports = ReportEraser(parts.book, parts.index, parts.blobs, parts.projects)
        tasks.create_task(every(parts.own.poll_s, reports.tick, health))
