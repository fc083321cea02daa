"""Asking a trainer for jobs, and reading what it says of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from labelstream.blobs.s3 import S3Blobs
from labelstream.errors import Unavailable
from labelstream.events.base import TRAINING_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.events.training import DatasetRef
from labelstream.jobs.ports import Job
from labelstream.jobs.rabbitmq import RabbitJobQueue
from labelstream.service.health import Health
from labelstream.streams.amqp import decode
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream.training_requests import QUEUE
from labelstream.trainings import JobBook, JobState
from labelstream.values import short_id
from labelstream_local.rabbitmq import RabbitServer
from labelstream_local.seaweedfs import WeedServer
from trainer.recipe import TrainingRecipe

from .drawn import PROJECT, SIDE

PATIENCE_S = 600

T = TypeVar("T")


def a_recipe(**changes: Any) -> TrainingRecipe:
    """Return the smallest recipe that trains at all."""
    tiny = {"architecture": "small", "image_size": SIDE, "epochs": 2, "batch": 8, "lr0": 0.006, "cache_images": True}
    return TrainingRecipe.model_validate(tiny | changes)


@dataclass
class Onlooker:
    """Somebody with a view of broker and store."""

    broker: RabbitBroker
    blobs: S3Blobs
    queue: RabbitJobQueue
    _book: JobBook = field(default_factory=JobBook)
    _read: int = -1  # the last offset

    async def ask(self, dataset: DatasetRef, recipe: TrainingRecipe) -> None:
        """Ask for a training."""
        await self._put({"dataset": dataset.description.model_dump(), "recipe": recipe.model_dump(mode="json")})

    async def cancel(self, job: str, reason: str) -> None:
        """Ask for the end of a job."""
        await self._put({"cancel": job, "reason": reason})

    async def _put(self, payload: dict[str, Any]) -> None:
        await self.queue.put(QUEUE, Job(project=PROJECT, id=short_id(repr(payload)), payload=payload))

    async def book(self) -> JobBook:
        """Return what is said of every job so far; while the broker is away, what was said before."""
        with suppress(Unavailable):
            last = await self.broker.last_offset(TRAINING_EVENTS)
            reader = self.broker.reader(TRAINING_EVENTS, self._read + 1 if self._read >= 0 else "first")
            while last is not None and self._read < last:
                for delivery in await reader.read(at_most=1000):
                    envelope = Envelope.from_message(decode(delivery.raw))
                    assert envelope is not None
                    self._book.fold(delivery.offset, envelope)
                    self._read = delivery.offset
            await reader.close()
        return self._book

    async def until(self, true: Callable[[JobBook], bool]) -> JobBook:
        """Wait until the jobs are so."""
        async with asyncio.timeout(PATIENCE_S):
            while not true(await self.book()):  # noqa: ASYNC110  # nothing here could set an event
                await asyncio.sleep(0.1)
        return self._book

    async def until_ended(self, count: int = 1) -> list[JobState]:
        """Wait until so many jobs have ended; return them."""
        book = await self.until(lambda book: sum(job.ended is not None for job in book.jobs.values()) >= count)
        return list(book.jobs.values())

    async def until_epoch(self, epoch: int) -> JobState:
        """Wait until an epoch of the only job was told."""
        book = await self.until(lambda book: any(job.epochs_told >= epoch for job in book.jobs.values()))
        return next(iter(book.jobs.values()))


async def until(true: Callable[[], bool]) -> None:
    """Wait until something outside our control has happened."""
    async with asyncio.timeout(PATIENCE_S):
        while not await asyncio.to_thread(true):  # noqa: ASYNC110  # nothing here could set an event
            await asyncio.sleep(0.05)


def epochs_of(job: JobState) -> list[int]:
    """Return the epochs that were told of a job, in order."""
    return [progressed.epoch for progressed, _ in job.epochs]


def one(found: Iterable[T]) -> T:
    """Return the only one."""
    (only,) = found
    return only


@asynccontextmanager
async def onlooker(rabbit: RabbitServer, weed: WeedServer) -> AsyncIterator[Onlooker]:
    """Look at broker and store for a while."""
    broker = RabbitBroker(rabbit.settings, Health(), "onlooker")
    blobs = S3Blobs(weed.settings, weed.settings.data_bucket, Health())
    queue = RabbitJobQueue(rabbit.settings, Health(), "onlooker")
    try:
        yield Onlooker(broker, blobs, queue)
    finally:
        await asyncio.gather(broker.close(), blobs.close(), queue.close())
