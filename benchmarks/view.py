"""A million annotations in ingest's view: disk, memory, and how long a restart takes.

The real service runs on a stream of receipts that was written beforehand: once without its view, once
with it, once from the snapshot in the store. ANNOTATIONS=<n> takes fewer.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.figures import Figure
from benchmarks.servers import running
from labelstream import keys
from labelstream.blobs.s3 import S3Blobs
from labelstream.events.annotation import Annotation, AnnotationSettled, ImageRef, Outcome
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.labels import Box, labels_digest
from labelstream.schemas import load_named_schema
from labelstream.service.health import Health
from labelstream.streams.journal import PUBLISHER, SEQUENCE, WRITER
from labelstream.streams.message import Message
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream.values import Position, sha256_hex
from labelstream.view import tables
from labelstream.view.snapshots import save_snapshot
from labelstream.wire import native
from labelstream.wire.reading import read_submission
from labelstream_local.ports import HOST, choose
from labelstream_local.process import Child, Command
from labelstream_local.rabbitmq import RabbitServer
from labelstream_local.reports import ask
from labelstream_local.seaweedfs import WeedServer

ANNOTATIONS = int(os.environ.get("ANNOTATIONS", "1000000"))
INPUT = "annotations"
AT_ONCE = 5_000  # messages that are published in one call
MEGABYTE = 1_000_000
BOXES = tuple(Box(class_id=n, x=0.1 + 0.2 * n, y=0.5, w=0.123456, h=0.654321) for n in range(3))
LABELS = labels_digest(BOXES)
SCHEMA = load_named_schema("example").digest


async def figures(folder: Path) -> list[Figure]:
    """Write the streams, start the service in its three states, and say what was seen."""
    rabbit = RabbitServer(folder / "rabbitmq", plugins=("rabbitmq_stream",))
    async with running(rabbit), running(WeedServer(folder / "seaweedfs")) as weed:
        await _fill(rabbit)
        lab = Lab(folder / "state", rabbit, weed)
        folded = await lab.start()
        size_bytes = sum(path.stat().st_size for path in lab.state.glob("annotations.sqlite*"))
        kept = await lab.start()
        blobs = S3Blobs(weed.settings, weed.settings.data_bucket, Health())
        began = time.perf_counter()
        await save_snapshot(lab.file, blobs, Health())
        saved_s = time.perf_counter() - began
        found = await blobs.head(keys.view_snapshot(tables.VERSION))
        await blobs.close()
        await asyncio.to_thread(shutil.rmtree, lab.state)
        restored = await lab.start()
        return [
            Figure("annotations", ANNOTATIONS, ""),
            Figure("disk", size_bytes / MEGABYTE, "MB", 1000),
            Figure("memory, view folded from the stream, at its peak", folded.peak_bytes / MEGABYTE, "MB", 200),
            Figure("memory, restarted with its file, at its peak", kept.peak_bytes / MEGABYTE, "MB", 200),
            Figure("ready with its own file", kept.ready_s, "s", 5),
            Figure("ready from the snapshot in the store", restored.ready_s, "s", 60),
            Figure("ready with neither, from the stream alone", folded.ready_s, "s"),
            Figure("saving the snapshot", saved_s, "s"),
            Figure("snapshot", (found.size_bytes if found else 0) / MEGABYTE, "MB"),
        ]


@dataclass(frozen=True)
class Started:
    """How a start of the service went."""

    ready_s: float
    peak_bytes: int


@dataclass(frozen=True)
class Lab:
    """The service, and where it lives."""

    state: Path
    rabbit: RabbitServer
    weed: WeedServer

    @property
    def file(self) -> Path:
        """The view."""
        return self.state / "annotations.sqlite"

    async def start(self) -> Started:
        """Start the service, wait until it is ready, and kill it."""
        (port,) = choose(1)
        child = Child(self._command(port), "benchmark", self.state.parent / "ingest.log")
        began = time.perf_counter()
        child.start()
        try:
            while (report := await asyncio.to_thread(ask, f"http://{HOST}:{port}")) is None or not report.ready:
                await asyncio.sleep(0.02)
                if time.perf_counter() - began > 3600:
                    raise TimeoutError(f"the service is not ready: {report}")
            ready_s = time.perf_counter() - began
            return Started(ready_s, _peak_bytes(child.pid))
        finally:
            process = psutil.Process(child.pid)
            process.terminate()
            await asyncio.to_thread(process.wait, 60)

    def _command(self, port: int) -> Command:
        broker, store = self.rabbit.settings, self.weed.settings
        told = {
            "BROKER__STREAM_PORT": str(broker.stream_port),
            "BROKER__USERNAME": broker.username,
            "BROKER__PASSWORD": broker.password.get_secret_value(),
            "STORE__ENDPOINT_URL": store.endpoint_url,
            "STORE__ACCESS_KEY": store.access_key,
            "STORE__SECRET_KEY": store.secret_key.get_secret_value(),
            "INGEST__PRODUCER_HASH_KEY": secrets.token_hex(16),
            "STATE_DIR": str(self.state),
            "HTTP_PORT": str(port),
        }
        variables = {f"LABELSTREAM_{name}": value for name, value in told.items()}
        return Command("ingest", (sys.executable, "-m", "annotation_ingest"), self.state.parent, variables)


def _peak_bytes(pid: int) -> int:
    """Return the most memory that a process ever had, its children left out."""
    if sys.platform == "linux":
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return int(psutil.Process(pid).memory_info().rss)


async def _fill(rabbit: RabbitServer) -> None:
    """Write the messages, as small as they can be, and what their receipts would have said."""
    broker = RabbitBroker(rabbit.settings, Health(), "bench")
    for stream, name, messages in (
        (INPUT, "producer", _inputs()),
        (ANNOTATION_EVENTS, f"annotation-ingest.{INPUT}", _receipts()),
    ):
        await broker.ensure_stream(stream)
        publisher = broker.publisher(stream, name)
        batch: list[tuple[int, Message]] = []
        for number, message in enumerate(messages, 1):
            batch.append((number, message))
            if len(batch) == AT_ONCE or number == ANNOTATIONS:
                await publisher.publish(batch)
                batch = []
                print(f"{stream}: {number} of {ANNOTATIONS}", file=sys.stderr, end="\r")
        await publisher.close()
    await broker.close()


def _input(number: int) -> Message:
    return native.write(f"frame-{number:07}", None, [], message_id=str(number))


def _inputs() -> Iterator[Message]:
    return (_input(number) for number in range(ANNOTATIONS))


def _receipts() -> Iterator[Message]:
    for number in range(ANNOTATIONS):
        event = AnnotationSettled(
            input=Position(stream=INPUT, offset=number),
            message_id=str(number),
            message_key=read_submission(_input(number)).message_key,
            wire="native",
            asked="created",
            outcomes=(_recorded(number),),
        )
        envelope = Envelope.of(event, source="annotation-ingest", answers=f"{INPUT}/{number}", project="default")
        message = envelope.to_message()
        message.properties.update({PUBLISHER: f"annotation-ingest.{INPUT}", SEQUENCE: number + 1, WRITER: "benchmark"})
        yield message


def _recorded(number: int) -> Outcome:
    digest = sha256_hex(str(number).encode())
    image = ImageRef(
        key=keys.image("default", digest, "jpg"),
        sha256=digest,
        size_bytes=200_000 + number % 1000,
        format="jpeg",
        width=1920,
        height=1080,
    )
    annotation = Annotation(
        image=image, medium=f"film-{number // 100}.mp4", shapes=BOXES, labels=LABELS, schema_digest=SCHEMA
    )
    return Outcome(name=f"frame-{number:07}", outcome="recorded", revision=1, validated=True, annotation=annotation)
