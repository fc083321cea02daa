"""An exporter's decider on doubles, which can be restarted at any time, and workers that are there or not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from exporter.domain import Ledger
from exporter.exporting.announced import Announced
from exporter.exporting.editions import Editions
from exporter.exporting.exporting import Exporting
from exporter.exporting.looking import Looking
from exporter.exporting.options import ExportingOptions
from exporter.exporting.orders import ExportLeft, ExportOrder, GoldenAnswer, Orders
from exporter.exporting.publishing import Publishing
from exporter.exporting.voice import NAME, Voice
from exporter.handler import Decider
from exporter.registry.policy import PromotionPolicy
from exporter.registry.promoting import Promoting
from labelstream import keys
from labelstream.blobs.leases import Leases
from labelstream.blobs.memory import MemoryBlobs
from labelstream.bundle import ArtifactFacts, Reference
from labelstream.classes import ClassSchema
from labelstream.events.base import MODEL_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.events.model import Agreement, ModelEvent, ModelExported, ModelPromoted, ModelRefused
from labelstream.events.training import DatasetRef, Metrics, TrainingFinished
from labelstream.exports import Capability, announce
from labelstream.formats import Format
from labelstream.jobs.desk import Desk
from labelstream.jobs.memory import MemoryJobQueue
from labelstream.jobs.worker import Attempt, Worker
from labelstream.labels import Box
from labelstream.models import ModelBook
from labelstream.protection.sealing import recipient_of
from labelstream.service.health import Health
from labelstream.streams.amqp import decode
from labelstream.streams.journal import Journal
from labelstream.streams.memory import MemoryBroker
from labelstream.values import FileRef, Position
from labelstream_datasets.description import DatasetDescription

E = TypeVar("E", bound=ModelEvent)
Do = Callable[[Attempt], Awaitable[ExportLeft]]

AGREES = Agreement(images=5, boxes=9, unmatched=0, max_box_px=0.01, max_score=0.001)
ONNX, OPENVINO, ENGINE = "onnx-fp32", "openvino-fp32", "tensorrt-fp16-sm_90"


def metrics(map50_95: float) -> Metrics:
    return Metrics(map50=0.9, map50_95=map50_95, precision=0.9, recall=0.8, images=5)


async def export(attempt: Attempt, agreement: Agreement | None = AGREES) -> ExportLeft:
    """Leave what a worker leaves; by default, everything agrees."""
    order = ExportOrder.model_validate(attempt.job.payload)
    wanted = Format.parse(order.format)
    return ExportLeft(
        artifact=await attempt.put(wanted.name, b"weights of " + attempt.job.id.encode()),
        facts=ArtifactFacts(
            name=wanted.name,
            format=wanted.family,
            precision=wanted.precision,
            target=wanted.target,
            input="float32-nchw-rgb-0-1",
            output="raw-yolo",
            agreement=agreement,
            limits=order.limits if agreement else None,
            unproven="" if agreement else "no GPU is here",
            versions={wanted.family: "1"},
        ),
        golden=(GoldenAnswer(image=await attempt.put("golden.png", b"a picture"), boxes=(BOX,)),),
        image_size=64,
        confidence=order.confidence,
        iou=order.iou,
        versions={wanted.family: "1"},
        reference=REFERENCE,
        seconds=2.5,
        worker="worker",
    )


REFERENCE = Reference(images=5, detections=9, class_counts={0: 9}, confidences=(0,) * 18 + (9, 0))
BOX = Box(class_id=0, x=0.5, y=0.5, w=0.2, h=0.2, confidence=0.9)
unproven = partial(export, agreement=None)


def disagreeing(**found: float) -> Do:
    """Return a worker whose formats differ so far from the trained weights."""
    return partial(export, agreement=AGREES.model_copy(update=found))


@dataclass
class Exporter:
    """What outlives a decider: streams, buckets, queues, keys, and a clock that a test turns."""

    scratch: Path
    signing_key: Path
    vault_identity: str
    options: ExportingOptions
    finished: list[TrainingFinished] = field(default_factory=list)
    broker: MemoryBroker = field(default_factory=MemoryBroker)
    data: MemoryBlobs = field(default_factory=MemoryBlobs)
    models: MemoryBlobs = field(default_factory=MemoryBlobs)
    resources: MemoryBlobs = field(default_factory=MemoryBlobs)
    queue: MemoryJobQueue = field(default_factory=MemoryJobQueue)
    health: Health = field(default_factory=Health)
    now_s: float = 1000.0

    def told(self, **options: object) -> Exporter:
        """Tell the deciders that start from now on something else."""
        self.options = self.options.model_copy(update=options)
        return self

    async def started(self) -> Decider:
        """Start a decider, as after a crash: it knows what the streams say."""
        ledger, book = Ledger(), ModelBook()
        journal = Journal(self.broker, MODEL_EVENTS, [NAME], book.fold, self.health)
        await journal.open()
        for offset, event in enumerate(self.finished):
            envelope = Envelope.of(event, source="trainer", answers=event.job, project="default")
            ledger.heard(offset, replace(envelope, time_ms=1_000_000))
        voice = Voice(journal, self.health)
        publishing = Publishing(
            self.data, self.models, self.resources, self.signing_key, recipient_of(self.vault_identity), self.scratch,
            self.health,
        )  # fmt: skip
        announced = Announced(self.data, self.options.absent_s, now=lambda: self.now_s)
        desk = Desk(self.queue, Leases(self.data, NAME), self.data)
        looking = Looking(desk, Orders(self.options), announced)
        editions = Editions(book, voice, looking, publishing, self.options)
        exporting = Exporting(
            ledger, book, voice, announced, looking, editions, self.options, now=lambda: self.now_s
        )  # fmt: skip
        policy = PromotionPolicy()
        promoting = Promoting(book, voice, ledger.training, self.data, policy, self.signing_key, self.health)
        return Decider(exporting, promoting, book, self.health)

    async def train(self, job: str, map50_95: float = 0.5, annotated_ms: int | None = None) -> None:
        """Have a training finish, at second 1000."""
        description = DatasetDescription(
            id="d" * 64,
            project="default",
            cut=Position(stream="annotation-events", offset=9),
            class_schema=ClassSchema(name="cars", classes=("car",)),
            recipe="0" * 64,
            salt="s",
            counts={},
        ).to_json()
        await self.data.put("dataset.json", description)
        self.finished.append(
            TrainingFinished(
                job=job,
                attempt=1,
                dataset=DatasetRef(
                    id="d" * 64,
                    description=FileRef.of("dataset.json", description),
                    cut=Position(stream="annotation-events", offset=9),
                    samples={},
                    test_images=5,
                ),
                weights=FileRef.of(f"weights of {job}", job.encode()),
                architecture=FileRef.of("architecture", b"a"),
                best_epoch=1,
                validation=metrics(map50_95),
                test=metrics(map50_95),
                annotated_ms=annotated_ms,
            )
        )

    async def there(self, *formats: str, worker: str = "worker") -> None:
        """Have a worker announce that it can build some formats."""
        wanted = map(Format.parse, formats)
        can = [Capability(family=each.family, target=each.target, queue=each.queue) for each in wanted]
        await announce(self.data, worker, can, valid_s=1e6)

    async def gone(self, worker: str = "worker") -> None:
        """Have a worker's announcement lapse."""
        await self.data.delete(keys.exporter_worker(worker))

    async def work(self, do: Do = export, *formats: str) -> None:
        """Let a worker do everything that lies in the queues of some formats."""
        queues = dict.fromkeys(Format.parse(name).queue for name in formats or self.options.formats)
        for queue in queues:
            worker = Worker(queue, self.queue, Leases(self.data, "worker"), self.data, self.health, do)
            while (taken := await self.queue.take(queue, wait_s=0)) is not None:
                await worker._work(taken, queue)

    async def answered(self, do: Do = export) -> None:
        """Have every training exported or refused by one decider."""
        decider = await self.started()
        await decider.tick()
        await self.work(do)
        await decider.tick()
        await decider.tick()  # what was refused altogether is said in the next round

    def events(self) -> list[ModelEvent]:
        """Everything that was said on `model-events`."""
        envelopes = [Envelope.from_message(decode(each.raw)) for each in self.broker.stored(MODEL_EVENTS) or []]
        return [each.event for each in envelopes if each and isinstance(each.event, ModelEvent)]

    def of(self, kind: type[E]) -> list[E]:
        """Return the events of a kind."""
        return [event for event in self.events() if isinstance(event, kind)]

    def said(self) -> list[str]:
        """The types of the events, without their common beginning; refusals name the format."""
        return [_name(event) for event in self.events()]


def _name(event: ModelEvent) -> str:
    match event:
        case ModelRefused():
            return f"refused {event.format or 'all'}"
        case ModelExported():
            return f"exported {' '.join(each.name for each in event.artifacts)}"
        case ModelPromoted():
            return f"promoted by {event.cause}"
    return event.type.removeprefix("model.")
