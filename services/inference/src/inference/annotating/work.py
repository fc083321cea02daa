"""One job: looks at every image, ranks them if that is wanted, and publishes what was seen.

What was seen is noted in the store, some images at a time, and how much was published under the attempt: an attempt
goes on where the last one stopped. What is published twice says the same under the same id, and counts once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from pydantic import ValidationError

from inference.annotating.going import STORE, Going, Publishing, before, ranking_of
from inference.annotating.looking import Eyes
from inference.annotating.ranking import ranked
from inference.annotating.seeing import Portion
from labelstream import keys
from labelstream.annotating import RANKING, Annotated, AnnotateRequest, ImageList, Progress, StoredImage
from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.errors import Rejected
from labelstream.jobs.ports import Job
from labelstream.jobs.worker import Attempt
from labelstream.service.health import Health
from labelstream.service.patience import patiently

T = TypeVar("T")


class _Cancelled(Exception):
    """Somebody cancelled the job."""


class Tools(Protocol):
    """Where a job's eyes and its producer come from."""

    def eyes(self, request: AnnotateRequest) -> AbstractAsyncContextManager[tuple[Eyes, float, str]]:
        """Hold eyes, with the confidence from which boxes are published and the model's name. Raises Rejected."""
        ...

    def producer(self, project: str) -> AbstractAsyncContextManager[Publishing]:
        """Hold a producer of a project's proposals."""
        ...


@dataclass(frozen=True)
class AnnotateWork:
    """Does jobs of annotating, one at a time."""

    blobs: Blobs
    health: Health
    tools: Tools
    portion: int
    look_s: float = 1.0  # how often a job that waits looks whether it was cancelled

    async def do(self, attempt: Attempt) -> Annotated:
        """Annotate the images of a job. Raises Rejected."""
        try:
            request = AnnotateRequest.model_validate(attempt.job.payload)
        except ValidationError as error:
            raise Rejected("annotate.malformed", str(error), "`labelstream annotate` asks rightly.") from error
        images = await self._images(request)
        begin = await before(attempt, Progress(total=len(images)))
        async with AsyncExitStack() as stack:
            opening = stack.enter_async_context(self.tools.eyes(request))
            try:
                eyes, confidence, model = await self._unless_cancelled(attempt.job, opening)
            except _Cancelled:
                return Annotated(**begin.model_dump(), cancelled=True)
            producer = await stack.enter_async_context(self.tools.producer(request.project))
            going = Going(attempt, request, eyes, confidence, begin.published, begin.seconds, model, len(images))
            try:
                return await self._through(going, images, producer)
            except _Cancelled:
                return await going.end(cancelled=True)

    async def over(self, attempt: Attempt) -> None:
        """Close the job's books, once its result stands in the store."""
        await patiently(
            self.health, STORE, lambda: self.blobs.delete(keys.annotating_open(attempt.job.project, attempt.job.id))
        )

    async def _images(self, request: AnnotateRequest) -> tuple[StoredImage, ...]:
        try:
            stored = await patiently(self.health, STORE, lambda: self.blobs.get(request.images.key))
            return ImageList.model_validate_json(stored.data).images
        except BlobNotFound as error:
            raise Rejected("annotate.no_images", f"{request.images.key} is not in the store", "Ask again.") from error
        except ValidationError as error:
            raise Rejected("annotate.no_images", f"{request.images.key} is no list of images", "Ask again.") from error

    async def _through(self, going: Going, images: Sequence[StoredImage], producer: Publishing) -> Annotated:
        by_name = going.request.order == "name"
        for number, some in enumerate(_cut(images, self.portion)):
            await self._go_on(going.attempt.job)
            portion = await self._portion(going, number, some)
            fresh = going.take(portion)
            if by_name:
                await going.publish(fresh, producer)
            await going.note()
        ranking = None
        if not by_name:
            order = ranked(going.seen)
            ranking = await going.attempt.put(RANKING, ranking_of(order, going.confidence))
            for ordered in _cut(order, self.portion):
                await self._go_on(going.attempt.job)
                await going.publish(ordered, producer)
                await going.note()
        return (await going.end()).model_copy(update={"ranking": ranking})

    async def _portion(self, going: Going, number: int, images: Sequence[StoredImage]) -> Portion:
        """Look at some images, unless an attempt before did; the first note of them stays."""
        job = going.attempt.job
        key = keys.job(job.project, job.id, f"seen/{number:06d}.json")
        try:
            noted = await patiently(self.health, STORE, lambda: self.blobs.get(key))
        except BlobNotFound:
            portion = await self._unless_cancelled(job, going.eyes.look(images))
            data = portion.model_dump_json().encode()
            if await patiently(self.health, STORE, lambda: self.blobs.create(key, data)) is not None:
                return portion
            noted = await patiently(self.health, STORE, lambda: self.blobs.get(key))
        return Portion.model_validate_json(noted.data)

    async def _go_on(self, job: Job) -> None:
        """Raise _Cancelled if the job was."""
        mark = keys.job_cancel(job.project, job.id)
        if await patiently(self.health, STORE, lambda: self.blobs.head(mark)) is not None:
            raise _Cancelled

    async def _unless_cancelled(self, job: Job, work: Coroutine[Any, Any, T]) -> T:
        """Return what work that may wait for ever comes to. Raises _Cancelled when the job is cancelled meanwhile."""
        task = asyncio.create_task(work)
        try:
            while not (await asyncio.wait((task,), timeout=self.look_s))[0]:
                await self._go_on(job)
            return task.result()
        finally:
            task.cancel()
            await asyncio.wait((task,))


def _cut(several: Sequence[T], portion: int) -> Iterator[Sequence[T]]:
    return (several[at : at + portion] for at in range(0, len(several), portion))
