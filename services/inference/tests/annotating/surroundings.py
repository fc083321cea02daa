"""What stands around the worker in its tests: ingest and the worker as processes, and an inference service."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import uvicorn

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
from labelstream.events.annotation import AnnotationSettled
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
class Watched:
    """An ASGI application that counts what it is asked, and may be told to do something about it."""

    app: Any
    asked: Counter[str] = field(default_factory=Counter)
    before: Callable[[int], Any] | None = None  # is told how many predictions were asked for
    heard: asyncio.Event = field(default_factory=asyncio.Event)  # anything at all

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        self.asked[path] += 1
        self.heard.set()
        if path == "/v1/predict" and self.before is not None:
            await self.before(self.asked[path])
        await self.app(scope, receive, send)


async def until(true: Callable[[], bool]) -> None:
    """Return once it is true."""
    while not true():  # noqa: ASYNC110  # uvicorn has no event for it
        await asyncio.sleep(0.01)


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """Serve an application in this loop, on a free port."""
    (port,) = choose(1)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, lifespan="off"))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]  # the test's own stay
    task = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


@dataclass
class Surroundings:
    """A broker, a store, and programs on them."""

    folder: Path
    broker: BrokerSettings
    store: StoreSettings
    health: Health = field(default_factory=Health)
    children: list[tuple[str, Child]] = field(default_factory=list)

    async def open(self) -> None:
        """Connect, and start ingest."""
        self.data = S3Blobs(self.store, self.store.data_bucket, self.health)
        self.incoming = S3Blobs(self.store, self.store.incoming_bucket, self.health)
        self.queue = RabbitJobQueue(self.broker, self.health, "test")
        schema = self.folder / "cells.json"
        schema.write_text(json.dumps(SCHEMA))
        inputs = [
            {"stream": "annotations", "schema": str(schema)},
            {"stream": stream_of("default"), "schema": str(schema), "may_validate": False, "may_overrule": False},
        ]
        self.start("annotation_ingest", INGEST__INPUTS=json.dumps(inputs), INGEST__PRODUCER_HASH_KEY="k" * 16,
                   INGEST__DECODERS="1")  # fmt: skip
        await patiently(self.health, "schema", lambda: recorded_schema(self.data, "default"))

    async def close(self) -> None:
        """Stop everything."""
        for name in [name for name, _ in self.children]:
            self.stop(name)
        await self.data.close()
        await self.incoming.close()
        await self.queue.close()

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
        process.wait(30)

    def log(self, name: str) -> str:
        """What a program said."""
        return (self.folder / f"{name}.log").read_text()

    async def ask(self, images: list[bytes], **more: Any) -> AnnotateRequest:
        """Bring images into the store, and ask for them."""
        keeping = ByReference(self.incoming, f"{stream_of('default')}/", self.health)
        stored = [
            StoredImage(bucket="incoming", key=(await keeping.put(image)).key, file=f"{number}.png")
            for number, image in enumerate(images)
        ]
        listed = await put_images(self.data, "default", ImageList(images=tuple(stored)))
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

    async def receipts(self, count: int, of: str = stream_of("default")) -> list[AnnotationSettled]:
        """Return the receipts of one input's messages, once there are so many."""
        broker = RabbitBroker(self.broker, self.health, "test")
        reader = broker.reader(ANNOTATION_EVENTS, "first")
        found: list[AnnotationSettled] = []
        try:
            while len(found) < count:
                for delivery in await reader.read():
                    envelope = Envelope.from_message(decode(delivery.raw))
                    if envelope and isinstance(envelope.event, AnnotationSettled) and envelope.event.input.stream == of:
                        found.append(envelope.event)
        finally:
            await reader.close()
            await broker.close()
        return found

    async def messages(self) -> int:
        """Return how many messages the proposals' stream holds."""
        broker = RabbitBroker(self.broker, self.health, "test")
        try:
            last = await broker.last_offset(stream_of("default"))
        finally:
            await broker.close()
        return 0 if last is None else last + 1
