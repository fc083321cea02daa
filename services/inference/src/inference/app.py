"""Wiring: settings → adapters → handler → what runs."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

from fastapi import FastAPI

from inference.access.opening import Access, access_of
from inference.access.polling import ExporterKeys
from inference.answering.images import run_single_threaded
from inference.exporter_client import client_of
from inference.serving.adapters.delivery import Delivery
from inference.serving.adapters.grants import ExporterApi
from inference.serving.adapters.shelf import DiskShelf
from inference.serving.duel import Dueling
from inference.serving.follow import Follower
from inference.serving.handler import Activator
from inference.serving.keeping import Keeping
from inference.serving.models import Models
from inference.serving.patience import Patience
from inference.serving.ports import Grants
from inference.serving.probation import Probation, Terms
from inference.serving.standing import Dispensable, Standing
from inference.serving.telemetry import Telemetry
from inference.settings import InferenceSettings
from inference.wiring import Answering, answering, build_loader
from labelstream.blobs.ports import Blobs
from labelstream.blobs.s3 import S3Blobs
from labelstream.service.health import Health
from labelstream.service.http import serve_http
from labelstream.service.tracing_http import traced
from labelstream.streams.ports import Broker
from labelstream.streams.rabbitmq import RabbitBroker


@dataclass(frozen=True)
class Replica:
    """One inference process, put together but not running."""

    api: FastAPI
    follower: Follower
    telemetry: Telemetry
    answering: Answering
    access: Access


async def main(settings: InferenceSettings, health: Health) -> None:
    """Serve until cancelled."""
    run_single_threaded()
    beside = Dispensable(health)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(client_of(settings.inference))
        broker = RabbitBroker(settings.broker, beside, f"inference.{settings.inference.replica}")
        stack.push_async_callback(broker.close)
        store = S3Blobs(settings.store, settings.store.model_bucket, beside)
        stack.push_async_callback(store.close)
        grants = ExporterApi(client, settings.inference.device_token)
        access = access_of(settings, health, ExporterKeys(client, settings.inference.device_token))
        replica = put_together(settings, health, broker, store, grants, access)
        stack.callback(replica.answering.close)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(replica.follower.run())
            tasks.create_task(replica.telemetry.run())
            tasks.create_task(replica.access.run())
            limits = replica.answering.limits
            tasks.create_task(serve_http(traced(replica.api), settings.http_host, settings.http_port, limits=limits))


def put_together(
    settings: InferenceSettings, health: Health, broker: Broker, store: Blobs, grants: Grants, access: Access
) -> Replica:
    """Connect the parts of a replica to each other."""
    group = settings.inference
    models = Models(settings.projects)
    standing = Standing(health, models)
    loader = build_loader(group)
    shelf = DiskShelf(settings.state_dir / "models")
    terms = Terms(group.probation_s, group.worst_slowdown, group.worst_failures)
    probation = Probation(models, terms, Dueling(models))
    delivery = Delivery(store, grants, shelf, loader)
    patience = Patience(group.retry_first_s, group.retry_most_s, group.grant_patience_s)
    keeping = Keeping(patience, standing)
    activator = Activator(models, shelf, loader, delivery, probation, keeping, group.replica)
    telemetry = Telemetry(broker, group.replica, standing, patience)
    answers = answering(group, health, models, access.gate, loader, (probation,), settings.state_dir / "uploads")
    return Replica(
        api=answers.api,
        follower=Follower(broker, activator, telemetry, standing, patience),
        telemetry=telemetry,
        answering=answers,
        access=access,
    )
