"""Wires the worker: settings → adapters → work."""

from __future__ import annotations

from contextlib import AsyncExitStack

from labelstream.blobs.leases import Leases
from labelstream.blobs.s3 import S3Blobs
from labelstream.jobs.rabbitmq import RabbitJobQueue
from labelstream.jobs.worker import Worker
from labelstream.service.health import Health
from trainer.orders import QUEUE
from trainer.settings import TrainerSettings
from trainer.work.scratch import Scratch
from trainer.work.training import Options, TrainingWork


async def work(settings: TrainerSettings, health: Health) -> None:
    """Take trainings from the queue and train them, one at a time, until cancelled."""
    own = settings.trainer
    scratch = Scratch(settings.scratch_dir or settings.state_dir / "scratch", own.keep_datasets)
    async with AsyncExitStack() as stack:
        stack.enter_context(scratch.owned())
        blobs = S3Blobs(settings.store, settings.store.data_bucket, health)
        stack.push_async_callback(blobs.close)
        queue = RabbitJobQueue(settings.broker, health, "trainer-work")
        stack.push_async_callback(queue.close)
        training = TrainingWork(blobs, health, scratch, Options(
            worker=own.worker,
            device=own.device,
            checkpoint_every_s=own.checkpoint_every_s,
            disk_patience_s=own.disk_patience_s,
        ))  # fmt: skip
        leases = Leases(blobs, own.worker, own.lease_s)
        await Worker(QUEUE, queue, leases, blobs, health, training.do, training.afterwards, through_outages=True).run()
