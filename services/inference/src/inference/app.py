"""Wiring: settings → adapters → handler → what runs."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx
from fastapi import FastAPI

from inference.access.open import Open
from inference.answering.api import build_api
from inference.answering.images import decode, run_single_threaded
from inference.answering.parts import Parts
from inference.answering.predicting import Predictor
from inference.answering.workers import Workers
from inference.engine.adapters.onnx import FORMAT, open_onnx
from inference.engine.geometry import ImageLimits
from inference.engine.tiling import Tiling
from inference.serving.adapters.delivery import Delivery
from inference.serving.adapters.grants import ExporterApi
from inference.serving.adapters.shelf import DiskShelf
from inference.serving.follow import Follower
from inference.serving.handler import Activator
from inference.serving.loading import Loader
from inference.serving.models import Models
from inference.serving.patience import Patience
from inference.serving.ports import Grants
from inference.serving.standing import Dispensable, Standing
from inference.serving.telemetry import Telemetry
from inference.settings import InferenceGroup, InferenceSettings
from labelstream.blobs.ports import Blobs
from labelstream.blobs.s3 import S3Blobs
from labelstream.errors import Misconfigured, Rejected
from labelstream.protection.sealing import recipient_of
from labelstream.protection.signing_keys import load_public_key
from labelstream.service.health import Health
from labelstream.service.http import serve_http
from labelstream.streams.ports import Broker
from labelstream.streams.rabbitmq import RabbitBroker


@dataclass(frozen=True)
class Replica:
    """One inference process, put together but not running."""

    api: FastAPI
    follower: Follower
    telemetry: Telemetry
    workers: Workers
    models: Models


async def main(settings: InferenceSettings, health: Health) -> None:
    """Serve until cancelled."""
    run_single_threaded()
    beside = Dispensable(health)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=settings.inference.exporter_url))
        broker = RabbitBroker(settings.broker, beside, f"inference.{settings.inference.replica}")
        stack.push_async_callback(broker.close)
        store = S3Blobs(settings.store, settings.store.model_bucket, beside)
        stack.push_async_callback(store.close)
        grants = ExporterApi(client, settings.inference.device_token)
        replica = put_together(settings, health, broker, store, grants)
        stack.callback(replica.workers.close)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(replica.follower.run())
            tasks.create_task(replica.telemetry.run())
            tasks.create_task(serve_http(replica.api, settings.http_host, settings.http_port))


def put_together(settings: InferenceSettings, health: Health, broker: Broker, store: Blobs, grants: Grants) -> Replica:
    """Connect the parts of a replica to each other."""
    group = settings.inference
    models = Models(settings.projects)
    standing = Standing(health, models)
    loader = build_loader(group)
    shelf = DiskShelf(settings.state_dir / "models")
    activator = Activator(models, shelf, loader, Delivery(store, grants, shelf, loader), group.replica)
    patience = Patience(group.retry_first_s, group.retry_most_s, group.grant_patience_s)
    telemetry = Telemetry(broker, group.replica, standing, patience)
    workers = Workers(group.threads, group.queue_size)
    limits = ImageLimits(group.max_image_bytes, group.max_pixels)
    return Replica(
        api=build_api(
            Parts(
                models,
                Predictor(models, workers, tiling=Tiling(group.tile, group.tile_overlap) if group.tile else None),
                Open(),
                limits,
                decode,
            ),
            health,
        ),
        follower=Follower(broker, activator, telemetry, standing, patience),
        telemetry=telemetry,
        workers=workers,
        models=models,
    )


def build_loader(group: InferenceGroup) -> Loader:
    """Return what opens bundles with this device's key. Raises Misconfigured."""
    lines = group.device_identity.get_secret_value().splitlines()
    identities = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if len(identities) != 1:
        raise Misconfigured("LABELSTREAM_INFERENCE__DEVICE_IDENTITY must be one age private key")
    try:
        recipient_of(identities[0])
    except Rejected as error:
        raise Misconfigured("LABELSTREAM_INFERENCE__DEVICE_IDENTITY is not an age private key") from error
    for path in group.trusted_keys:
        load_public_key(path)
    return Loader(group.trusted_keys, identities[0], {FORMAT: open_onnx}, decode)
