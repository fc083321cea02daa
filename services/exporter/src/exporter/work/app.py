"""Wires `exporter work`: settings → adapters → worker. Holds no keys."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack
from pathlib import Path

from pydantic import Field

from exporter.buckets import bucket
from exporter.engine.capabilities import capabilities
from exporter.work.announcing import Announcing
from exporter.work.scratch import Scratch
from exporter.work.worker import LIMIT_S, ExportWork
from labelstream.blobs.leases import Leases
from labelstream.errors import Misconfigured
from labelstream.exports import LONGEST_VALID_S
from labelstream.jobs.rabbitmq import RabbitJobQueue
from labelstream.jobs.worker import Worker
from labelstream.service.health import Health
from labelstream.service.http import health_app, serve_http
from labelstream.service.settings import ServiceSettings, Settings


class WorkerGroup(Settings):
    """Settings of `exporter work`: it loads and converts, and holds no keys."""

    worker: str = Field(default_factory=socket.gethostname, description="the worker's name in events")
    lease_s: float = Field(20, gt=0, description="as the decider's")
    announce_s: float = Field(
        60, gt=0, le=LONGEST_VALID_S, description="what a worker announces holds so long, and is renewed in time"
    )
    keep_datasets: int = Field(2, ge=1, description="datasets whose test images stay on disk")
    rknn_python: Path | None = Field(None, description="the Python of RKNN's own environment; `make rknn` makes one")
    export_limit_s: float = Field(
        LIMIT_S, gt=0, description="a format that is not built and proved in so long is refused"
    )


class WorkerSettings(ServiceSettings):
    """All settings of `exporter work`."""

    exporter: WorkerGroup = WorkerGroup()


async def work(settings: WorkerSettings, health: Health) -> None:
    """Run `exporter work`: loads and converts, holds no keys."""
    own, store = settings.exporter, settings.store
    capable = await asyncio.to_thread(capabilities, own.rknn_python)
    if not capable:
        raise Misconfigured("this machine can build no format: install what `exporter[work]` names")
    if own.rknn_python is not None and not any(one.family == "rknn" for one in capable):
        health.degraded("rknn", f"{own.rknn_python} has no rknn-toolkit2, so nothing is built for RKNN here")
    async with AsyncExitStack() as stack:
        data = bucket(stack, store, store.data_bucket, health)
        queue = RabbitJobQueue(settings.broker, health, "exporter-work")
        stack.push_async_callback(queue.close)
        scratch = Scratch(settings.state_dir / "work", own.keep_datasets)
        stack.enter_context(scratch.owned())
        announcing = Announcing(data, own.worker, capable, health, own.announce_s)
        job = ExportWork(data, health, scratch, own.worker, own.rknn_python, limit_s=own.export_limit_s)
        leases = Leases(data, own.worker, own.lease_s)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(serve_http(health_app(health), settings.http_host, settings.http_port))
            tasks.create_task(announcing.run())
            tasks.create_task(Worker(announcing.queues, queue, leases, data, health, job.do).run())
