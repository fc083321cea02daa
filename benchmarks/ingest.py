"""annotation-ingest from the first message to the last receipt, against a bare loop that does the same work.

The service's own code runs, with its rules, its view and its read-back, on a real broker and a real store. Every
run has a project, a view and a stream of receipts of its own; what it reads is there before the clock starts.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pebble import ProcessPool
from rstream import Producer

from annotation_ingest import app
from annotation_ingest.adapters.decoding import Decoders
from annotation_ingest.settings import IngestSettings
from benchmarks import bare_ingest, ingest_input
from benchmarks.bare_streams import login
from benchmarks.pairs import Contest, Run
from benchmarks.servers import running
from labelstream.blobs.s3 import S3Blobs
from labelstream.events.annotation import AnnotationSettled
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.service.health import Health
from labelstream.service.settings import BrokerSettings
from labelstream.streams.amqp import decode
from labelstream.streams.message import Message
from labelstream.streams.ports import Start
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream.streams.rabbitmq_reader import RabbitReader
from labelstream_local.rabbitmq import RabbitServer
from labelstream_local.seaweedfs import WeedServer

IMAGES, BULK = 300, 20  # messages of a run
BARE_RECEIPTS = "bare-receipts"


@asynccontextmanager
async def contests(folder: Path) -> AsyncIterator[list[Contest]]:
    """Start a broker and a store, and prepare the work."""
    rabbit = RabbitServer(folder / "rabbitmq", plugins=("rabbitmq_stream",))
    async with running(rabbit), running(WeedServer(folder / "seaweedfs")) as weed, _lab(folder, rabbit, weed) as lab:
        files = await asyncio.to_thread(ingest_input.images, IMAGES)
        referred = {f"references/{number}.jpg": file for number, file in enumerate(files)}
        for key, file in referred.items():
            await lab.incoming.put(key, file)
        yield [
            await lab.contest("images of 200 KB inline", Work("inline", ingest_input.inline(files))),
            await lab.contest("images of 200 KB by reference", Work("references", ingest_input.by_reference(referred))),
            await lab.contest("bulk messages of 1,000 names", Work("bulk", ingest_input.bulk(BULK), BULK)),
        ]


@dataclass(frozen=True)
class Work:
    """What a stream holds."""

    stream: str
    messages: list[Message]
    recorded: int = 0  # receipts that are there beforehand, of annotations that the messages name

    @property
    def expected(self) -> tuple[str, int]:
        """The outcome of every name, and how many there are."""
        return (
            ("validated", self.recorded * ingest_input.NAMES_EACH)
            if self.recorded
            else ("recorded", len(self.messages))
        )


@dataclass
class Watched(Health):
    """Notes when the message at an offset was answered, and its receipt was in the view."""

    wanted: int = 0
    at: float = 0
    there: asyncio.Event = field(default_factory=asyncio.Event)

    def handled(self, stream: str, offset: int) -> None:
        """Take note of an answer."""
        super().handled(stream, offset)
        if offset == self.wanted:
            self.at = time.perf_counter()
            self.there.set()


class WatchedBroker(RabbitBroker):
    """Notes when somebody begins to read a stream."""

    def __init__(self, settings: BrokerSettings, stream: str) -> None:
        super().__init__(settings, Health(), "bench")
        self._stream = stream
        self.began = 0.0

    def reader(self, stream: str, start: Start) -> RabbitReader:
        """Read a stream."""
        if stream == self._stream:
            self.began = time.perf_counter()
        return super().reader(stream, start)


@asynccontextmanager
async def _lab(folder: Path, rabbit: RabbitServer, weed: WeedServer) -> AsyncIterator[Lab]:
    store = weed.settings
    data, incoming = (S3Blobs(store, name, Health()) for name in (store.data_bucket, store.incoming_bucket))
    decoders = Decoders(bare_ingest.PROCESSES, 20, 100_000_000)
    bare_decoders = await asyncio.to_thread(bare_ingest.pool)
    (image,) = ingest_input.images(1)
    await asyncio.gather(*(decoders.decode(image) for _ in range(8)))  # so that each process is up
    try:
        yield Lab(folder, rabbit, weed, data, incoming, decoders, bare_decoders)
    finally:
        decoders.close()
        bare_decoders.stop()
        await asyncio.to_thread(bare_decoders.join)
        await data.close()
        await incoming.close()


@dataclass
class Lab:
    """A broker, a store, and the two ways to answer what a stream holds."""

    folder: Path
    rabbit: RabbitServer
    weed: WeedServer
    data: S3Blobs
    incoming: S3Blobs
    decoders: Decoders
    bare_decoders: ProcessPool
    _runs: itertools.count[int] = field(default_factory=itertools.count)

    async def contest(self, name: str, work: Work) -> Contest:
        """Fill a stream with work; return it as a contest."""
        broker = RabbitBroker(self.rabbit.settings, Health(), "bench")
        await broker.ensure_stream(work.stream)
        await broker.publisher(work.stream, "producer").publish(list(enumerate(work.messages, 1)))
        await broker.close()
        sizes: list[int] = []
        await self._serve(work, sizes)  # tells how large the receipts are
        receipt_bytes = sum(sizes) // len(sizes)
        amount, unit = (work.expected[1], "names") if work.recorded else (len(work.messages), "messages")
        return Contest(name, self.ours(work), {"bare": self.bare(work, receipt_bytes)}, amount, unit)

    def ours(self, work: Work) -> Run:
        """Run the service until it has answered everything."""
        return lambda: self._serve(work, [])

    async def _serve(self, work: Work, sizes: list[int]) -> float:
        project = f"run-{next(self._runs)}"
        broker = WatchedBroker(self.rabbit.settings, work.stream)
        health = Watched(wanted=len(work.messages) - 1)
        try:
            await _record(broker, project, work.recorded)
            service = asyncio.create_task(
                app.run(self._settings(work, project), health, broker, self.data, self.incoming, self.decoders)
            )
            watching = asyncio.create_task(health.there.wait())
            await asyncio.wait({service, watching}, return_when=asyncio.FIRST_COMPLETED)
            if service.done():
                service.result()
            service.cancel()
            await asyncio.gather(service, return_exceptions=True)
            receipts = await _read(broker, ANNOTATION_EVENTS, work.recorded + len(work.messages))
        finally:
            await broker.close()
            await self._remove(ANNOTATION_EVENTS)
        sizes += [len(one.body) for one in receipts[work.recorded :]]
        _check(work, receipts[work.recorded :])
        return health.at - broker.began

    def bare(self, work: Work, receipt_bytes: int) -> Run:
        """Run the bare loop until it has answered everything."""

        async def run() -> float:
            number = next(self._runs)
            await self._create(BARE_RECEIPTS)
            if work.recorded:
                names = [name for one in range(work.recorded) for name in ingest_input.names_of(one)]
                table = bare_ingest.open_table(self.folder / f"{number}.sqlite", names)
                answers: bare_ingest.Names | bare_ingest.Images = bare_ingest.Names(table, receipt_bytes)
            else:
                store = self.weed.settings
                data, incoming = (bare_ingest.bucket(store, one) for one in (store.data_bucket, store.incoming_bucket))
                answers = bare_ingest.Images(data, incoming, self.bare_decoders, f"bare-{number}", receipt_bytes)
            count = len(work.messages)
            seconds = await bare_ingest.run(
                self.rabbit.settings, work.stream, BARE_RECEIPTS, count, answers.answer, read_back=bool(work.recorded)
            )
            await self._remove(BARE_RECEIPTS)
            assert answers.done == work.expected[1], "not everything was answered"
            return seconds

        return run

    def _settings(self, work: Work, project: str) -> IngestSettings:
        told = {
            "inputs": [{"stream": work.stream, "project": project}],
            "producer_hash_key": "a key of the benchmark",
            "batch": bare_ingest.BATCH,
            "decoders": bare_ingest.PROCESSES,
        }
        return IngestSettings.model_validate({
            "broker": self.rabbit.settings,
            "store": self.weed.settings,
            "state_dir": self.folder / project,
            "ingest": told,
        })  # fmt: skip

    async def _create(self, stream: str) -> None:
        async with Producer(**login(self.rabbit.settings)) as producer:
            await producer.create_stream(stream)

    async def _remove(self, stream: str) -> None:
        async with Producer(**login(self.rabbit.settings)) as producer:
            await producer.delete_stream(stream)


async def _record(broker: RabbitBroker, project: str, count: int) -> None:
    """Write what was recorded before."""
    await broker.ensure_stream(ANNOTATION_EVENTS)
    messages = [envelope.to_message() for envelope in ingest_input.recorded(project, count)]
    if messages:
        publisher = broker.publisher(ANNOTATION_EVENTS, ingest_input.EARLIER)
        await publisher.publish(list(enumerate(messages, 1)))


async def _read(broker: RabbitBroker, stream: str, count: int) -> list[Message]:
    reader = broker.reader(stream, "first")
    found: list[Message] = []
    while len(found) < count:
        found += [decode(one.raw) for one in await reader.read()]
    await reader.close()
    return found


def _check(work: Work, receipts: Sequence[Message]) -> None:
    kind, count = work.expected
    envelopes = [Envelope.from_message(one) for one in receipts]
    events = [one.event for one in envelopes if one is not None]
    outcomes = [outcome for event in events if isinstance(event, AnnotationSettled) for outcome in event.outcomes]
    assert [one.outcome for one in outcomes] == [kind] * count, "not every message was answered as it should be"
