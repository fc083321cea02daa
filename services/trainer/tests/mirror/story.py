"""Events as trainer and exporter say them, and what a mirror of them works on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from labelstream.blobs.memory import MemoryBlobs
from labelstream.errors import Unavailable
from labelstream.events.base import MODEL_EVENTS, TRAINING_EVENTS, Event
from labelstream.events.envelope import Envelope
from labelstream.events.model import (
    Agreement,
    ArtifactRef,
    ModelExported,
    ModelPromoted,
    ModelRefused,
    ModelWithdrawn,
)
from labelstream.events.training import (
    ChampionMetrics,
    DatasetRef,
    Interval,
    Metrics,
    TrainingCancelled,
    TrainingFailed,
    TrainingFinished,
    TrainingProgressed,
    TrainingRecovered,
    TrainingRequested,
    TrainingStarted,
)
from labelstream.service.health import Health
from labelstream.streams.memory import MemoryBroker
from labelstream.values import FileRef, Position, sha256_hex
from trainer.mirror.changes import Tracking
from trainer.mirror.following import Mirror

RECIPE = {"architecture": "yolo11n", "epochs": 3, "lr0": 0.002, "cosine": True, "on_the_fly": {"mosaic": 0.5}}
DATASET = DatasetRef(
    id=sha256_hex(b"dataset"),
    description=FileRef.of("default/datasets/d/dataset.json", b"{}"),
    cut=Position(stream="annotation-events", offset=99),
    samples={"train": 70, "val": 20, "test": 10},
    test_images=10,
)
FILES = {name: FileRef.of(f"jobs/{name}", name.encode()) for name in ("weights", "architecture", "report", "card")}


def metrics(map50: float) -> Metrics:
    """Figures around one; a class name that MLflow would not take as it is."""
    low_high = Interval(low=map50 - 0.1, high=map50 + 0.1)
    per_class = {"car": map50, "truck/large (3.5 t)": 0.25}
    return Metrics(
        map50=map50,
        map50_95=map50 / 2,
        precision=0.75,
        recall=0.5,
        images=10,
        per_class=per_class,
        map50_interval=low_high,
    )


def requested(job: str, **more: Any) -> TrainingRequested:
    return TrainingRequested(
        job=job, cause="policy", dataset=DATASET, recipe=RECIPE, recipe_digest=sha256_hex(b"recipe"), **more
    )


def progressed(job: str, epoch: int, loss: float = 1.0) -> TrainingProgressed:
    return TrainingProgressed(
        job=job,
        attempt=1,
        epoch=epoch,
        epochs=3,
        losses={"box_loss": loss},
        map50=epoch / 10,
        map50_95=epoch / 20,
        seconds=epoch,
        eta_s=3 - epoch,
        images_per_s=100,
        batch=16,
    )


def finished(job: str, **more: Any) -> TrainingFinished:
    return TrainingFinished(
        job=job,
        attempt=1,
        dataset=DATASET,
        best_epoch=2,
        validation=metrics(0.75),
        test=metrics(0.5),
        epochs=3,
        seconds=12.5,
        **({**FILES, **more}),
    )


def exported(job: str, model: str) -> ModelExported:
    agreement = Agreement(images=1, boxes=1, unmatched=0, max_box_px=0, max_score=0)
    big = FileRef.of("big", b"big")
    onnx = ArtifactRef(
        name="onnx-fp32",
        format="onnx",
        precision="fp32",
        big_part=big,
        sealed_sha256=sha256_hex(b"s"),
        agreement=agreement,
    )
    return ModelExported(
        model=model,
        input=Position(stream=TRAINING_EVENTS, offset=1),
        job=job,
        dataset_id=DATASET.id,
        manifest=big,
        signature=big,
        artifacts=(onnx,),
        test=metrics(0.5),
    )


def promoted(model: str, number: int) -> ModelPromoted:
    file = FileRef.of("manifest", b"manifest")
    return ModelPromoted(
        model=model,
        number=number,
        manifest=file,
        signature=file,
        statement="{}",
        statement_signature="",
        reason="it is better",
    )


TRAININGS: tuple[Event, ...] = (
    requested("a", warnings=("no test image shows a bus", "no test image shows a tram")),
    TrainingStarted(job="a", attempt=1, worker="one"),
    progressed("a", 1),
    TrainingRecovered(job="a", attempt=1, epoch=1, rule="out-of-memory", reason="CUDA", batch=8),
    progressed("a", 2),
    requested("b", retry_of="z"),
    TrainingStarted(job="b", attempt=1, worker="two"),
    progressed("b", 1, loss=float("nan")),
    progressed("a", 3),
    finished("a", champion=ChampionMetrics(model="m0", test=metrics(0.4), difference=0.1)),
    TrainingFailed(job="b", attempt=1, rule="not-finite", reason="the loss of epoch 2 is no number"),
    requested("c"),
    TrainingCancelled(job="c", attempt=0, reason="not needed"),
    requested("d"),
    TrainingStarted(job="d", attempt=1, worker="one"),
    progressed("d", 1),
    TrainingCancelled(
        job="d",
        attempt=1,
        weights=FILES["weights"],
        architecture=FILES["architecture"],
        best_epoch=1,
        validation=metrics(0.3),
    ),
    requested("e"),
    finished("e"),
    requested("f"),
)
MODELS: tuple[Event, ...] = (
    exported("a", "m1"),
    promoted("m1", 1),
    exported("e", "m2"),
    promoted("m2", 2),
    ModelWithdrawn(model="m2", reason="it sees ghosts"),
    promoted("m1", 3),
    ModelRefused(
        input=Position(stream=TRAINING_EVENTS, offset=2),
        job="f",
        model="m3",
        rule="disagrees",
        reason="a score differs",
        format="onnx-int8",
    ),
    ModelRefused(
        input=Position(stream=TRAINING_EVENTS, offset=2), job="f", model="m3", rule="disagrees", reason="boxes differ"
    ),
)


@dataclass
class World:
    """What trainer and exporter say and store, and what is mirrored to `tracking`."""

    tracking: Tracking
    project: str = "default"
    broker: MemoryBroker = field(default_factory=MemoryBroker)
    blobs: MemoryBlobs = field(default_factory=MemoryBlobs)
    health: Health = field(default_factory=Health)
    look_every_s: float = 0.01
    _mirroring: asyncio.Task[None] | None = None

    async def prepare(self) -> None:
        """Store the files that events name, and create the streams."""
        for name, file in FILES.items():
            await self.blobs.put(file.key, name.encode())
        for stream in (TRAINING_EVENTS, MODEL_EVENTS):
            await self.broker.ensure_stream(stream)

    async def say(self, *events: Event, project: str | None = None) -> None:
        """Publish events; the same event at the same place of its stream has the same id and time."""
        for event in events:
            number = await self.broker.last_publishing_id(event.stream, "writer") + 1
            envelope = Envelope(
                event=event,
                id=f"{event.stream} {number}",
                source="writer",
                project=project or self.project,
                time_ms=1_700_000_000_000 + 1000 * number,
            )
            await self.broker.publisher(event.stream, "writer").publish([(number, envelope.to_message())])

    @asynccontextmanager
    async def mirrored(self) -> AsyncIterator[Mirror]:
        """Mirror meanwhile."""
        mirror = Mirror(
            self.broker,
            self.blobs,
            self.tracking,
            (self.project,),
            self.health,
            wait_s=0.01,
            first_pause_s=0.001,
            longest_pause_s=0.01,
        )
        self._mirroring = task = asyncio.create_task(mirror.run())
        try:
            yield mirror
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def mirror_all(self) -> None:
        """Mirror until both streams are mirrored to their ends."""
        async with self.mirrored():
            await self.until_mirrored()

    async def until_mirrored(self) -> None:
        """Wait until the tracking server knows the ends of both streams."""
        async with asyncio.timeout(180):
            while not await self._is_mirrored():
                if self._mirroring is not None and self._mirroring.done():
                    self._mirroring.result()  # raises what ended it
                await asyncio.sleep(self.look_every_s)

    async def _is_mirrored(self) -> bool:
        try:
            places = await self.tracking.places(self.project)
        except Unavailable:  # while the mirror writes, its database may be locked
            return False
        for stream in (TRAINING_EVENTS, MODEL_EVENTS):
            last = await self.broker.last_offset(stream)
            if last is not None and (stream not in places or places[stream].offset != last):
                return False
        return True
