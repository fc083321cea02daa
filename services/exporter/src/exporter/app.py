"""Wires the three processes: settings → adapters → handler → tasks."""

from __future__ import annotations

import asyncio

from labelstream.blobs.leases import Leases
from labelstream.blobs.s3 import S3Blobs
from labelstream.events.base import MODEL_EVENTS, TRAINING_EVENTS
from labelstream.jobs.desk import Desk
from labelstream.jobs.rabbitmq import RabbitJobQueue
from labelstream.jobs.worker import Worker
from labelstream.protection.sealing import identity_in, recipient_of
from labelstream.service.health import Health
from labelstream.service.http import health_app, serve_http
from labelstream.service.patience import patiently
from labelstream.service.ticking import every
from labelstream.streams.following import follow
from labelstream.streams.journal import Journal
from labelstream.streams.rabbitmq import RabbitBroker

from exporter.api import build_api
from exporter.domain import Ledger
from exporter.granting import Granting, read_devices
from exporter.handler import NAME, Decider
from exporter.publishing import Publishing
from exporter.settings import ApiSettings, DeciderSettings, WorkerSettings
from exporter.worker import QUEUE, ExportWork


async def decide(settings: DeciderSettings, health: Health) -> None:
    """Run `exporter`: the decider and signer."""
    own, store = settings.exporter, settings.store
    broker = RabbitBroker(settings.broker, health, NAME)
    data = S3Blobs(store, store.data_bucket, health)
    resources = S3Blobs(store, store.resources_bucket, health)
    vault = identity_in(own.vault_identity.get_secret_value())
    ledger = Ledger()
    journal = Journal(broker, MODEL_EVENTS, [NAME], ledger.said, health)
    granting = Granting(resources, vault)
    publishing = Publishing(
        data=data,
        models=S3Blobs(store, store.model_bucket, health),
        resources=resources,
        settings=own,
        vault_recipient=recipient_of(vault),
        scratch=settings.state_dir / "publishing",
    )
    queue = RabbitJobQueue(settings.broker, health, NAME)
    desk = Desk(queue, Leases(data, NAME, own.lease_s), data)
    decider = Decider(journal, ledger, desk, publishing, granting, own, health)
    devices = read_devices(own.devices) if own.devices else []

    async def run() -> None:
        await journal.open()
        await patiently(health, "object store", lambda: granting.enrol_all(devices))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(follow(broker, TRAINING_EVENTS, "first", ledger.heard, health))
            tasks.create_task(every(own.poll_s, decider.tick, health))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve_http(health_app(health), settings.http_host, settings.http_port))
        tasks.create_task(run())


async def work(settings: WorkerSettings, health: Health) -> None:
    """Run `exporter work`: loads and converts, holds no keys."""
    data = S3Blobs(settings.store, settings.store.data_bucket, health)
    leases = Leases(data, settings.exporter.worker, settings.exporter.lease_s)
    job = ExportWork(data, health, settings.state_dir / "jobs")
    queue = RabbitJobQueue(settings.broker, health, "exporter-work")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve_http(health_app(health), settings.http_host, settings.http_port))
        tasks.create_task(Worker(QUEUE, queue, leases, data, health, job.do).run())


async def serve_api(settings: ApiSettings, health: Health) -> None:
    """Run `exporter serve`: the public API."""
    ledger = Ledger()
    broker = RabbitBroker(settings.broker, health, "exporter-serve")
    resources = S3Blobs(settings.store, settings.store.resources_bucket, health)
    api = build_api(ledger, resources, health)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve_http(api, settings.http_host, settings.http_port))
        tasks.create_task(follow(broker, MODEL_EVENTS, "first", ledger.said, health))
