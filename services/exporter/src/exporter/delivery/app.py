"""Wires `exporter serve`: settings → adapters → the public API. Holds no key of a model."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from exporter.buckets import bucket
from exporter.delivery.serving import ApiBuckets, Serving
from exporter.delivery.settings import ApiGroup
from labelstream.jobs.rabbitmq import RabbitJobQueue
from labelstream.service.health import Health
from labelstream.service.http import serve_http
from labelstream.service.settings import ServiceSettings
from labelstream.streams.rabbitmq import RabbitBroker


class ApiSettings(ServiceSettings):
    """All settings of `exporter serve`: it hands out what was made elsewhere."""

    exporter: ApiGroup


async def serve_api(settings: ApiSettings, health: Health) -> None:
    """Run `exporter serve`: the public API."""
    store = settings.store
    async with AsyncExitStack() as stack:
        broker = RabbitBroker(settings.broker, health, "exporter-serve")
        stack.push_async_callback(broker.close)
        queue = RabbitJobQueue(settings.broker, health, "exporter-serve", declares=False)
        stack.push_async_callback(queue.close)
        buckets = ApiBuckets(
            resources=bucket(stack, store, store.resources_bucket, health),
            uploads=bucket(stack, store, store.uploads_bucket, health),
        )
        serving = Serving.build(settings.exporter, settings.projects[0], buckets, broker, queue, health)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(serve_http(serving.api, settings.http_host, settings.http_port))
            tasks.create_task(serving.run())
