"""A platform's trainings on doubles, told event by event as a trainer would, and the trainer's answers to requests."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console

from labelstream import keys
from labelstream.answers import write_answer
from labelstream.blobs.memory import MemoryBlobs
from labelstream.events.base import ANNOTATION_EVENTS, TRAINING_EVENTS, Event
from labelstream.events.envelope import Envelope
from labelstream.events.training import (
    ChampionMetrics,
    DatasetRef,
    Interval,
    Metrics,
    TrainingCancelled,
    TrainingFinished,
    TrainingProgressed,
    TrainingRequested,
    TrainingStarted,
)
from labelstream.jobs.memory import MemoryJobQueue
from labelstream.service.health import Health
from labelstream.streams.memory import MemoryBroker
from labelstream.training_requests import QUEUE, Answer, TrainingRequest
from labelstream.trainings import LOG
from labelstream.values import FileRef, Position
from labelstream_cli.jobs.place import Place

FIRST, SECOND, THIRD = "3fa90000" * 4, "3fb10000" * 4, "77cc0000" * 4
BEGAN_MS = 1_790_000_000_000
CUT = Position(stream=ANNOTATION_EVENTS, offset=41)
FILE = FileRef.of("default/jobs/x/weights.safetensors", b"weights")
DATASET = DatasetRef(
    id="d" * 64,
    description=FileRef.of("default/datasets/d/dataset.json", b"{}"),
    cut=CUT,
    samples={"train": 80, "val": 6, "test": 5},
    test_images=5,
)
RECIPE: dict[str, Any] = {"epochs": 3, "seed": 0, "batch": 4, "architecture": "small"}


def requested(job: str, **more: Any) -> TrainingRequested:
    told = {"cause": "request", "dataset": DATASET, "recipe": RECIPE, "recipe_digest": "9" * 64, **more}
    return TrainingRequested(job=job, **told)


def started(job: str, attempt: int = 1, worker: str = "ada") -> TrainingStarted:
    return TrainingStarted(job=job, attempt=attempt, worker=worker)


def epoch(job: str, number: int, map50: float, attempt: int = 1, **more: Any) -> TrainingProgressed:
    told = {"epochs": 3, "losses": {"box": 2.0 / number, "cls": 1.0}, "map50_95": map50 / 2, "seconds": 9.0, **more}
    return TrainingProgressed(job=job, attempt=attempt, epoch=number, map50=map50, **{"eta_s": 90.0, **told})


def metrics(map50: float, **more: Any) -> Metrics:
    return Metrics(map50=map50, map50_95=map50 / 2, precision=0.8, recall=0.7, images=5, **more)


def finished(job: str, map50: float = 0.9, **more: Any) -> TrainingFinished:
    interval = Interval(low=map50 - 0.05, high=map50 + 0.04)
    test = metrics(map50, map50_interval=interval, per_class={"car": 0.61, "truck": 0.42})
    told = {"weights": FILE, "architecture": FILE, "best_epoch": 2, "validation": metrics(0.88), "test": test}
    return TrainingFinished(job=job, attempt=1, dataset=DATASET, **{**told, **more})


def cancelled(job: str, *, kept: bool = True, reason: str = "") -> TrainingCancelled:
    best = {"weights": FILE, "best_epoch": 2, "validation": metrics(0.6)} if kept else {}
    return TrainingCancelled(job=job, attempt=1, reason=reason, **best)


def champion(difference: float = 0.02) -> ChampionMetrics:
    beside = metrics(0.88, per_class={"car": 0.5})
    return ChampionMetrics(
        model="c4" * 16, test=beside, difference=difference, difference_interval=Interval(low=-0.01, high=0.05)
    )


def printed(show: Any, *what: Any, width: int = 120) -> str:
    """Return what a view prints."""
    out = io.StringIO()
    show(*what, Console(file=out, width=width, highlight=False))
    return out.getvalue()


@dataclass
class World:
    """The streams, the queue and the store."""

    broker: MemoryBroker = field(default_factory=MemoryBroker)
    blobs: MemoryBlobs = field(default_factory=MemoryBlobs)
    queue: MemoryJobQueue = field(default_factory=MemoryJobQueue)
    said: int = 0
    now_ms: int = BEGAN_MS
    asked: list[TrainingRequest] = field(default_factory=list)

    @property
    def place(self) -> Place:
        return Place(self.broker, self.blobs, self.queue, Health())

    async def say(self, *events: Event, project: str = "default", after_s: float = 10) -> None:
        """Publish events, each `after_s` seconds after the one before it."""
        for event in events:
            self.said += 1
            self.now_ms += int(after_s * 1000)
            await self.broker.ensure_stream(event.stream)
            envelope = Envelope(event=event, id=f"{self.said}", source="test", project=project, time_ms=self.now_ms)
            await self.broker.publisher(event.stream, "test").publish([(self.said, envelope.to_message())])

    async def log(self, job: str, attempt: int, text: str) -> None:
        """Leave the end of a log, as a worker does."""
        await self.blobs.put(keys.attempt("default", job, attempt, LOG), text.encode())

    @asynccontextmanager
    async def trainer(self, *answers: Answer, then: tuple[Event, ...] = ()) -> AsyncIterator[None]:
        """Answer the next request so, one answer over the other, while inside; then say the events."""
        await self.broker.ensure_stream(TRAINING_EVENTS)
        task = asyncio.create_task(self._answer(answers, then))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _answer(self, answers: tuple[Answer, ...], then: tuple[Event, ...]) -> None:
        taken = await self.queue.take(QUEUE, wait_s=60)
        assert taken is not None
        request = TrainingRequest.model_validate(taken.job.payload)
        self.asked.append(request)
        for answer in answers:
            assert request.answer is not None
            await write_answer(self.blobs, taken.job.project, request.answer, answer)
            await asyncio.sleep(0)
        await self.say(*then)
