"""Wiring: settings → adapters → pipelines, one a project."""

from __future__ import annotations

import asyncio

from augmenter.adapters.pool import RenderPool
from augmenter.domain import Limits
from augmenter.handler import Augmenter
from augmenter.pipeline import Pipeline
from augmenter.recipe import load_recipe
from augmenter.settings import AugmenterSettings
from labelstream.blobs.s3 import S3Blobs
from labelstream.service.health import Health
from labelstream.service.http import health_app, serve_http
from labelstream.streams.rabbitmq import RabbitBroker


async def main(settings: AugmenterSettings, health: Health) -> None:
    """Run until cancelled."""
    group = settings.augmenter
    recipe = load_recipe(group.recipe)
    health.fact("recipe", {"name": recipe.name, "digest": recipe.digest})
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    broker = RabbitBroker(settings.broker, health, "augmenter")
    blobs = S3Blobs(settings.store, settings.store.data_bucket, health)
    limits = Limits(group.batch_count, group.batch_bytes, group.batch_age_s)
    try:
        with RenderPool(group.workers, group.render_timeout_s) as pool:
            augmenter = Augmenter(blobs, pool, recipe, limits, health)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(serve_http(health_app(health), settings.http_host, settings.http_port))
                for project in settings.projects:
                    path = settings.state_dir / f"augmenter-{project}.sqlite"
                    tasks.create_task(Pipeline(project, broker, augmenter, path, health).run())
    finally:
        await broker.close()
        await blobs.close()
