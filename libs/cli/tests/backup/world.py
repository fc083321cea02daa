"""A stack on the doubles of broker and store, and a folder for its backups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from labelstream.blobs.memory import MemoryBlobs
from labelstream.blobs.ports import Blobs
from labelstream.events.base import ANNOTATION_EVENTS, BATCH_EVENTS, MODEL_EVENTS, SERVING_EVENTS
from labelstream.streams.amqp import encode
from labelstream.streams.journal import PUBLISHER, SEQUENCE
from labelstream.streams.memory import MemoryBroker
from labelstream.streams.memory_writer import MemoryWriter
from labelstream.streams.message import Delivery, Message
from labelstream.streams.restoring import StreamWriter
from labelstream_cli.backup import book, making, restoring
from labelstream_cli.backup.book import BUCKETS, Bucket
from labelstream_cli.backup.folder import FolderBlobs
from labelstream_cli.backup.place import StackPlace, Writing
from labelstream_cli.backup.streams import Wanted
from labelstream_cli.reaching import last_offset, stored

INPUT = "annotations"
INGEST = f"annotation-ingest.{INPUT}"
PRODUCER = "my-platform"
WANTED = Wanted(publishers=(PRODUCER,))


@dataclass
class World:
    """One stack; a test makes two: one that is backed up, and one that is restored."""

    broker: MemoryBroker = field(default_factory=MemoryBroker)
    buckets: dict[Bucket, MemoryBlobs] = field(default_factory=lambda: {role: MemoryBlobs() for role in BUCKETS})
    secrets: Path | None = None
    writer: Writing | None = None

    @property
    def place(self) -> StackPlace:
        return StackPlace(
            broker=self.broker,
            buckets=self.buckets,
            writer=self.writer or self.write,
            projects=("default",),
            inputs=(INPUT, "proposals"),
            secrets=self.secrets,
        )

    def write(self, stream: str) -> StreamWriter:
        return MemoryWriter(self.broker, stream)

    async def annotate(self, first: int, last: int) -> None:
        """Do what producers and services do with the messages of some numbers: from `first` up to `last`."""
        for stream in (INPUT, ANNOTATION_EVENTS, BATCH_EVENTS, MODEL_EVENTS, SERVING_EVENTS):
            await self.broker.ensure_stream(stream)
        for number in range(first, last + 1):
            sent = Message(b"image %d" % number, message_id=f"m-{number}")
            await self.broker.publisher(INPUT, PRODUCER).publish([(number, sent)])
            await self.buckets["data"].create(f"default/images/{number:064x}.jpg", b"image %d" % number)
            await self.say(ANNOTATION_EVENTS, INGEST, number)
        await self.say(BATCH_EVENTS, "augmenter.default.abc", last)
        await self.say(MODEL_EVENTS, "exporter", last)
        served = Message(b"active", properties={"cloudEvents_source": "inference.local"})
        await self.broker.publisher(SERVING_EVENTS, "inference.local").publish([(last, served)])
        await self.buckets["models"].put("default/models/m/manifest.json", b"model of %d" % last)
        await self.buckets["resources"].create("devices/edge.json", b"{}")

    async def say(self, stream: str, publisher: str, number: int) -> None:
        """Publish as a journal does: who wrote it stands in the message."""
        stamp = {PUBLISHER: publisher, SEQUENCE: number, "cloudEvents_source": publisher}
        message = Message(b"event %d" % number, message_id=f"{publisher}-{number}", properties=stamp)
        await self.broker.publisher(stream, publisher).publish([(number, message)])

    async def holds(self, stream: str) -> list[tuple[int, bytes]]:
        """Return every message with its offset, as a reader of ours sees it."""
        found: list[Delivery] = []
        async for deliveries in stored(self.broker, stream):
            found += deliveries
        return [(one.offset, one.raw) for one in found]

    async def objects(self) -> dict[tuple[str, str], bytes]:
        """Return every object."""
        return {
            (role, info.key): (await bucket.get(info.key)).data
            for role, bucket in self.buckets.items()
            async for info in bucket.list("")
        }

    async def broker_is_empty(self) -> bool:
        """Say whether no stream holds a message."""
        return not any([await last_offset(self.broker, stream) is not None for stream in STREAMS])

    async def back_up(self, files: Blobs, **told: object) -> making.Made:
        order = replace(making.Order("the folder", WANTED), **told)  # type: ignore[arg-type]
        return await making.make(order, self.place, files)

    async def restore(self, files: Blobs, name: str | None = None, **told: object) -> restoring.Restored:
        snapshot = await book.chosen(files, "the folder", name)
        order = replace(restoring.Order("the folder", snapshot, newest=name is None), **told)  # type: ignore[arg-type]
        return await restoring.restore(order, self.place, files)

    async def ids(self) -> dict[str, int]:
        """Return the last publishing id of each publisher of this world."""
        known = {
            INPUT: PRODUCER,
            ANNOTATION_EVENTS: INGEST,
            BATCH_EVENTS: "augmenter.default.abc",
            MODEL_EVENTS: "exporter",
            SERVING_EVENTS: "inference.local",
        }
        return {stream: await self.broker.last_publishing_id(stream, name) for stream, name in known.items()}


STREAMS = (INPUT, ANNOTATION_EVENTS, BATCH_EVENTS, MODEL_EVENTS, SERVING_EVENTS)


async def assert_same(one: World, other: World, streams: Sequence[str] = STREAMS) -> None:
    """Every message stands where it stood, the publishers go on where they were, and every object is there."""
    for stream in streams:
        assert await other.holds(stream) == await one.holds(stream)
    assert await other.ids() == await one.ids()
    assert await other.objects() == await one.objects()


def raw(text: bytes) -> bytes:
    """Return a message's bytes."""
    return encode(Message(text))


def files_of(folder: FolderBlobs) -> dict[str, bytes]:
    """Return every file of a backup."""
    paths = sorted(path for path in folder.root.rglob("*") if path.is_file())
    return {path.relative_to(folder.root).as_posix(): path.read_bytes() for path in paths}


def damage(folder: FolderBlobs, beginning: str) -> str:
    """Change one byte of the first file whose name begins so; return its name."""
    name = next(name for name in files_of(folder) if name.startswith(beginning))
    path = folder.root / name
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    return name
