"""Wires `inference annotate`: settings → adapters → worker. It loads no model and no image library."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from inference.annotating.looking import Eyes, model_of
from inference.annotating.ranking import floor
from inference.annotating.reviving import Reviving
from inference.annotating.settings import AnnotateGroup, AnnotateSettings
from inference.annotating.work import AnnotateWork
from labelstream.annotating import QUEUE, AnnotateRequest, stream_of
from labelstream.blobs.leases import Leases
from labelstream.blobs.s3 import S3Blobs
from labelstream.client import AsyncClient
from labelstream.jobs.desk import Desk
from labelstream.jobs.rabbitmq import RabbitJobQueue
from labelstream.jobs.worker import Worker
from labelstream.producer import ByReference, Producer
from labelstream.schemas.recorded import recorded_schema
from labelstream.service.health import Health
from labelstream.service.http import health_app, serve_http
from labelstream.service.patience import patiently
from labelstream.service.settings import BrokerSettings
from labelstream.service.ticking import every
from labelstream.streams.rabbitmq import RabbitBroker


async def annotate(settings: AnnotateSettings, health: Health) -> None:
    """Run `inference annotate` until cancelled."""
    own, store = settings.annotate, settings.store
    async with AsyncExitStack() as stack:
        data = S3Blobs(store, store.data_bucket, health)
        stack.push_async_callback(data.close)
        incoming = S3Blobs(store, store.incoming_bucket, health)
        stack.push_async_callback(incoming.close)
        queue = RabbitJobQueue(settings.broker, health, "annotate")
        stack.push_async_callback(queue.close)
        leases = Leases(data, own.worker, own.lease_s)
        work = AnnotateWork(data, health, RealTools(own, settings.broker, data, incoming, health), own.portion)
        reviving = Reviving(data, Desk(queue, leases, data, grace_s=own.lease_s), settings.projects)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(serve_http(health_app(health), settings.http_host, settings.http_port))
            tasks.create_task(every(own.look_s, reviving.tick, health))
            tasks.create_task(Worker(QUEUE, queue, leases, data, health, work.do, work.over).run())


@dataclass(frozen=True)
class RealTools:
    """An inference service, a store and a broker."""

    own: AnnotateGroup
    broker: BrokerSettings
    data: S3Blobs
    incoming: S3Blobs
    health: Health

    @asynccontextmanager
    async def eyes(self, request: AnnotateRequest) -> AsyncIterator[tuple[Eyes, float, str]]:
        """Hold what looks at a job's images, the confidence from which boxes are published, and the model's name."""
        project, own = request.project, self.own
        key = own.api_key.get_secret_value() if own.api_key else None
        async with AsyncClient(own.inference_url, key, timeout_s=own.timeout_s, ca=own.inference_ca) as client:
            model = await model_of(client, self.health, project, request.model)
            schema = await patiently(self.health, "class schema", lambda: recorded_schema(self.data, project))
            confidence = model.thresholds["confidence"] if request.confidence is None else request.confidence
            yield (
                Eyes(
                    client=client,
                    buckets={"data": self.data, "incoming": self.incoming},
                    keeping=ByReference(self.incoming, f"{stream_of(project)}/", self.health),
                    health=self.health,
                    project=project,
                    schema=schema,
                    model=request.model,
                    confidence=floor(request.order, confidence),
                    at_once=own.at_once,
                    max_bytes=own.max_image_bytes,
                ),
                confidence,
                model.model,
            )

    @asynccontextmanager
    async def producer(self, project: str) -> AsyncIterator[Producer]:
        """Hold the producer of a project's proposals."""
        name = f"annotate.{self.own.worker}"
        broker = RabbitBroker(self.broker, self.health, name)
        async with Producer(broker, stream_of(project), name, receipts=False, health=self.health) as producer:
            yield producer
