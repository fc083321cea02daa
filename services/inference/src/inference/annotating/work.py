"""One job: looks at every image, ranks them if that is wanted, and publishes what was seen.

What was seen is noted in the store, some images at a time, and how much was published under the attempt: an attempt
goes on where the last one stopped. What is published twice says the same under the same id, and counts once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from pydantic import ValidationError

from inference.annotating.going import STORE, Going, Publishing, before, ranking_of
from inference.annotating.looking import Eyes
from inference.annotating.ranking import ranked
from inference.annotating.seeing import Portion
from labelstream import keys
from labelstream.annotating import RANKING, Annotated, AnnotateRequest, ImageList, Progress, StoredImage
from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.errors import Rejected
from labelstream.jobs.worker import Attempt
from labelstream.service.health import Health
from labelstream.service.patience import patiently

T = TypeVar("T")


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

    async def do(self, attempt: Attempt) -> Annotated:
        """Annotate the images of a job. Raises Rejected."""
        try:
            request = AnnotateRequest.model_validate(attempt.job.payload)
        except ValidationError as error:
            raise Rejected("annotate.malformed", str(error), "`labelstream annotate` asks rightly.") from error
        images = await self._images(request)
        async with self.tools.eyes(request) as (eyes, confidence, model):
            progress = await before(attempt, Progress(total=len(images), model=model))
            going = Going(attempt, request, eyes, confidence, progress.published, progress.seconds, model, len(images))
            async with self.tools.producer(request.project) as producer:
                return await self._through(going, images, producer)

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
            if await self._is_cancelled(going):
                return await going.end(cancelled=True)
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
                if await self._is_cancelled(going):
                    return await going.end(cancelled=True)
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
            portion = await going.eyes.look(images)
            data = portion.model_dump_json().encode()
            if await patiently(self.health, STORE, lambda: self.blobs.create(key, data)) is not None:
                return portion
            noted = await patiently(self.health, STORE, lambda: self.blobs.get(key))
        return Portion.model_validate_json(noted.data)

    async def _is_cancelled(self, going: Going) -> bool:
        job = going.attempt.job
        mark = keys.job_cancel(job.project, job.id)
        return await patiently(self.health, STORE, lambda: self.blobs.head(mark)) is not None


def _cut(several: Sequence[T], portion: int) -> Iterator[Sequence[T]]:
    return (several[at : at + portion] for at in range(0, len(several), portion))
