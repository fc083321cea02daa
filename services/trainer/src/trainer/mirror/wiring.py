"""Wires the mirror: settings → adapters → a task that runs beside the decider."""

from __future__ import annotations

from contextlib import AsyncExitStack

from labelstream.blobs.s3 import S3Blobs
from labelstream.service.health import Health
from labelstream.streams.rabbitmq import RabbitBroker
from trainer.mirror.api import Api
from trainer.mirror.following import Mirror
from trainer.mirror.mlflow import MlflowTracking
from trainer.settings import TrainerGroup, TrainerSettings


async def mirror(settings: TrainerSettings, health: Health) -> None:
    """Mirror to the server at `mlflow_url` until cancelled; return at once when there is none. Raises Misconfigured."""
    if not settings.trainer.mlflow_url:
        return
    async with AsyncExitStack() as stack:
        api = _api(settings.trainer)
        stack.push_async_callback(api.close)
        unheard = Health()  # whether the trainer is ready is not decided here: broker and store have others who ask
        broker = RabbitBroker(settings.broker, unheard, "trainer-mirror")
        stack.push_async_callback(broker.close)
        blobs = S3Blobs(settings.store, settings.store.data_bucket, unheard)
        stack.push_async_callback(blobs.close)
        await Mirror(broker, blobs, MlflowTracking(api), settings.projects, health).run()


def _api(group: TrainerGroup) -> Api:
    password = group.mlflow_password
    login = (group.mlflow_user, password.get_secret_value()) if password is not None else None
    return Api(group.mlflow_url, login, group.mlflow_ca)
