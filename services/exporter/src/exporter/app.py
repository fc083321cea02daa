"""Wires the three processes: settings → adapters → handler → tasks."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

from exporter.api import build_api
from exporter.domain import Ledger
from exporter.granting import Granting, read_devices
from exporter.handler import NAME, Decider
from exporter.publishing import Publishing
from exporter.settings import ApiSettings, DeciderSettings, WorkerSettings
from exporter.worker import QUEUE, STORE, ExportWork
from labelstream.blobs.leases import Leases
from labelstream.blobs.ports import Blobs
from labelstream.blobs.probe import probe_conditional_writes
from labelstream.blobs.s3 import S3Blobs
from labelstream.events.base import MODEL_EVENTS, TRAINING_EVENTS
from labelstream.jobs.desk import Desk
from labelstream.jobs.ports import JobQueue
from labelstream.jobs.rabbitmq import RabbitJobQueue
from labelstream.jobs.worker import Worker
from labelstream.protection.sealing import identity_in, recipient_of
from labelstream.service.health import Health
from labelstream.service.http import health_app, serve_http
from labelstream.service.patience import patiently
from labelstream.service.settings import StoreSettings
from labelstream.service.ticking import every
from labelstream.streams.following import follow
from labelstream.streams.journal import Journal
from labelstream.streams.ports import Broker
from labelstream.streams.rabbitmq import RabbitBroker


@dataclass(frozen=True)
class Buckets:
    """The three buckets: training data, public models, and what makes grants."""

    data: Blobs
    models: Blobs
    resources: Blobs


async def decide(settings: DeciderSettings, health: Health) -> None:
    """Run `exporter`: the decider and signer."""
    store = settings.store
    async with AsyncExitStack() as stack:
        broker = RabbitBroker(settings.broker, health, NAME)
        stack.push_async_callback(broker.close)
        buckets = Buckets(
            data=_bucket(stack, store, store.data_bucket, health),
            models=_bucket(stack, store, store.model_bucket, health),
            resources=_bucket(stack, store, store.resources_bucket, health),
        )
        queue = RabbitJobQueue(settings.broker, health, NAME)
        stack.push_async_callback(queue.close)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(serve_http(health_app(health), settings.http_host, settings.http_port))
            tasks.create_task(run(settings, health, broker, buckets, queue))


async def run(settings: DeciderSettings, health: Health, broker: Broker, buckets: Buckets, queue: JobQueue) -> None:
    """Decide until cancelled."""
    own = settings.exporter
    vault = identity_in(own.vault_identity.get_secret_value())
    devices = read_devices(own.devices) if own.devices else []
    ledger = Ledger()
    journal = Journal(broker, MODEL_EVENTS, [NAME], ledger.said, health)
    granting = Granting(buckets.resources, vault)
    publishing = Publishing(
        data=buckets.data,
        models=buckets.models,
        resources=buckets.resources,
        settings=own,
        vault_recipient=recipient_of(vault),
        scratch=settings.state_dir / "publishing",
        health=health,
    )
    desk = Desk(queue, Leases(buckets.data, NAME, own.lease_s), buckets.data)
    decider = Decider(journal, ledger, desk, publishing, granting, own, health)
    try:
        await patiently(health, STORE, lambda: probe_conditional_writes(buckets.data))
        await journal.open()
        await patiently(health, STORE, lambda: granting.enrol_all(devices))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(follow(broker, TRAINING_EVENTS, "first", ledger.heard, health))
            tasks.create_task(every(own.poll_s, decider.tick, health))
    finally:
        await journal.close()


async def work(settings: WorkerSettings, health: Health) -> None:
    """Run `exporter work`: loads and converts, holds no keys."""
    own, store = settings.exporter, settings.store
    async with AsyncExitStack() as stack:
        data = _bucket(stack, store, store.data_bucket, health)
        queue = RabbitJobQueue(settings.broker, health, "exporter-work")
        stack.push_async_callback(queue.close)
        job = ExportWork(data, health, settings.state_dir / "jobs")
        leases = Leases(data, own.worker, own.lease_s)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(serve_http(health_app(health), settings.http_host, settings.http_port))
            tasks.create_task(Worker(QUEUE, queue, leases, data, health, job.do).run())


async def serve_api(settings: ApiSettings, health: Health) -> None:
    """Run `exporter serve`: the public API."""
    ledger = Ledger()
    async with AsyncExitStack() as stack:
        broker = RabbitBroker(settings.broker, health, "exporter-serve")
        stack.push_async_callback(broker.close)
        resources = _bucket(stack, settings.store, settings.store.resources_bucket, health)
        api = build_api(ledger, resources, health)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(serve_http(api, settings.http_host, settings.http_port))
            tasks.create_task(follow(broker, MODEL_EVENTS, "first", ledger.said, health))


def _bucket(stack: AsyncExitStack, store: StoreSettings, name: str, health: Health) -> S3Blobs:
    """Return a bucket that is let go with the process."""
    blobs = S3Blobs(store, name, health)
    stack.push_async_callback(blobs.close)
    return blobs
