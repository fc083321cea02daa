"""What stands around the worker: ingest and the worker as processes, on a broker and a store that all tests share."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from labelstream import keys
from labelstream.annotating import (
    Annotated,
    AnnotateRequest,
    ImageList,
    StoredImage,
    ask_to_annotate,
    put_images,
    stream_of,
)
from labelstream.blobs.leases import Leases
from labelstream.blobs.s3 import S3Blobs
from labelstream.events.annotation import AnnotationSettled, Outcome
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.jobs.desk import Desk
from labelstream.jobs.rabbitmq import RabbitJobQueue
from labelstream.producer import ByReference
from labelstream.schemas.recorded import recorded_schema
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.service.settings import BrokerSettings, StoreSettings
from labelstream.streams.amqp import decode
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream_local.ports import choose
from labelstream_local.process import Child, Command

SCHEMA = {"name": "cells", "version": 1, "classes": ["Green", "RED"]}
LEASE_S = 3


@dataclass
class Programs:
    """Programs of ours on a broker and a store."""

    folder: Path
    broker: BrokerSettings
    store: StoreSettings
    children: list[tuple[str, Child]] = field(default_factory=list)

    def ingest(self) -> None:
        """Start annotation-ingest."""
        schema = self.folder / "cells.json"
        schema.write_text(json.dumps(SCHEMA))
        inputs = [
            {"stream": "annotations", "schema": str(schema)},
            {"stream": stream_of("default"), "schema": str(schema), "may_validate": False, "may_overrule": False},
        ]
        self.start("annotation_ingest", INGEST__INPUTS=json.dumps(inputs), INGEST__PRODUCER_HASH_KEY="k" * 16,
                   INGEST__DECODERS="1")  # fmt: skip

    def start(self, *module: str, **told: str) -> None:
        """Start a program of ours."""
        name = "-".join(module)
        variables = {
            "BROKER__STREAM_PORT": str(self.broker.stream_port),
            "BROKER__AMQP_PORT": str(self.broker.amqp_port),
            "BROKER__USERNAME": self.broker.username,
            "BROKER__PASSWORD": self.broker.password.get_secret_value(),
            "STORE__ENDPOINT_URL": self.store.endpoint_url,
            "STORE__ACCESS_KEY": self.store.access_key,
            "STORE__SECRET_KEY": self.store.secret_key.get_secret_value(),
            "STATE_DIR": str(self.folder / name),
            "HTTP_PORT": str(choose(1)[0]),
            **told,
        }
        environment = {f"LABELSTREAM_{key}": value for key, value in variables.items()}
        command = Command(name, (sys.executable, "-m", *module), self.folder, environment)
        child = Child(command, str(self.folder), self.folder / f"{name}.log")
        child.start()
        self.children.append((name, child))

    def work(self, url: str, **told: str) -> None:
        """Start the worker."""
        self.start("inference", "annotate", ANNOTATE__INFERENCE_URL=url, ANNOTATE__WORKER="w1", ANNOTATE__PORTION="5",
                   ANNOTATE__LEASE_S=str(LEASE_S), ANNOTATE__LOOK_S="0.5", **told)  # fmt: skip

    def kill(self, name: str) -> None:
        """Kill a program with signal 9."""
        self._end(name, psutil.Process.kill)

    def stop(self, name: str) -> None:
        """Let a program end."""
        self._end(name, psutil.Process.terminate)

    def _end(self, name: str, end: Callable[[psutil.Process], None]) -> None:
        child = next(child for known, child in self.children if known == name)
        self.children = [one for one in self.children if one[1] is not child]
        process = psutil.Process(child.pid)
        end(process)
        process.wait(120)

    def stop_all(self) -> None:
        """Let every program end."""
        for name in [name for name, _ in self.children]:
            self.stop(name)


@dataclass
class Surroundings(Programs):
    """What one test sees of them: its own images, jobs, messages and receipts."""

    health: Health = field(default_factory=Health)

    async def open(self) -> None:
        """Connect, once ingest is there."""
        self.data = S3Blobs(self.store, self.store.data_bucket, self.health)
        self.incoming = S3Blobs(self.store, self.store.incoming_bucket, self.health)
        self.queue = RabbitJobQueue(self.broker, self.health, "test")
        await patiently(self.health, "schema", lambda: recorded_schema(self.data, "default"))
        self.earlier = await patiently(self.health, "broker", self._messages)

    async def close(self) -> None:
        """Stop what was started."""
        self.stop_all()
        await self.data.close()
        await self.incoming.close()
        await self.queue.close()

    async def stored(self, images: Sequence[bytes]) -> list[StoredImage]:
        """Bring images into the store, as the command does."""
        keeping = ByReference(self.incoming, f"{stream_of('default')}/", self.health)
        return [
            StoredImage(bucket="incoming", key=(await keeping.put(image)).key, file=f"{number}.png")
            for number, image in enumerate(images)
        ]

    def in_data(self, key: str) -> StoredImage:
        """Return an image of the data bucket."""
        return StoredImage(bucket="data", key=key, file=key)

    async def ask(self, images: Sequence[StoredImage], **more: Any) -> AnnotateRequest:
        """Ask for images."""
        listed = await put_images(self.data, "default", ImageList(images=tuple(images)))
        request = AnnotateRequest(project="default", images=listed, count=len(images), source="test", **more)
        await ask_to_annotate(self.data, self.queue, request)
        return request

    async def result(self, request: AnnotateRequest) -> Annotated:
        """Return what a job came to, once its books are closed."""
        desk = Desk(self.queue, Leases(self.data, "test"), self.data)
        mark = keys.annotating_open("default", request.id)
        while await self.data.head(mark) is not None:  # noqa: ASYNC110  # another process removes it
            await asyncio.sleep(0.1)
        standing = await desk.standing("default", request.id)
        assert standing is not None
        assert standing.failure is None, standing.failure
        assert standing.result is not None
        return Annotated.model_validate_json(standing.result)

    async def failure(self, request: AnnotateRequest) -> str:
        """Return the rule by which a job failed."""
        desk = Desk(self.queue, Leases(self.data, "test"), self.data)
        standing = None
        while standing is None or standing.failure is None:
            await asyncio.sleep(0.1)
            standing = await desk.standing("default", request.id)
        return standing.failure.rule

    async def receipts(self) -> list[Outcome]:
        """Return what became of this test's proposals, in the order of their messages, once all have receipts."""
        last = self.earlier + await self.messages() - 1
        broker = RabbitBroker(self.broker, self.health, "test")
        reader = broker.reader(ANNOTATION_EVENTS, "first")
        found: dict[int, Outcome] = {}
        try:
            while last not in found:
                for delivery in await reader.read():
                    envelope = Envelope.from_message(decode(delivery.raw))
                    told = envelope.event if envelope else None
                    if isinstance(told, AnnotationSettled) and told.input.stream == stream_of("default"):
                        (found[told.input.offset],) = told.outcomes
        finally:
            await reader.close()
            await broker.close()
        return [outcome for offset, outcome in sorted(found.items()) if offset >= self.earlier]

    async def messages(self) -> int:
        """Return how many messages this test left on the proposals' stream."""
        return await self._messages() - self.earlier

    async def _messages(self) -> int:
        broker = RabbitBroker(self.broker, self.health, "test")
        try:
            last = await broker.last_offset(stream_of("default"))
        finally:
            await broker.close()
        return 0 if last is None else last + 1
