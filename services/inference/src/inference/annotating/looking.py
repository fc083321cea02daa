"""Asks an inference service about images, some at once; waits while it or the store is away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from inference.annotating.seeing import Portion, Seen, boxes_of
from labelstream.annotating import Failed, StoredImage
from labelstream.blobs.ports import BlobNotFound, Blobs, BlobTooLarge
from labelstream.classes import ClassSchema
from labelstream.client import AsyncClient, Away, Busy, ClientError, Model, Prediction, Refused
from labelstream.errors import Rejected, Unavailable
from labelstream.producer import ByReference
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.values import sha256_hex

SERVICE = "inference"
MOST_LOST = 3  # times that the service is gone or silent over one image, and answers other questions afterwards
_OF_US = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)  # no other image would fare better


@dataclass(frozen=True)
class Eyes:
    """Looks at the images of one job."""

    client: AsyncClient
    buckets: dict[str, Blobs]  # "data" and "incoming"
    keeping: ByReference  # puts images where the messages of our stream may refer to them
    health: Health
    project: str
    schema: ClassSchema
    model: str | None
    confidence: float  # of what is noted; less is published
    at_once: int
    max_bytes: int

    async def look(self, images: Sequence[StoredImage]) -> Portion:
        """Return what is in each image. Raises Rejected when the service refuses us, whatever the image."""
        hands = asyncio.Semaphore(self.at_once)

        async def one(image: StoredImage) -> Seen | Failed:
            async with hands:
                return await self._one(image)

        tasks = [asyncio.create_task(one(image)) for image in images]
        try:
            outcomes = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return Portion(
            seen=tuple(one for one in outcomes if isinstance(one, Seen)),
            failed=tuple(one for one in outcomes if isinstance(one, Failed)),
        )

    async def _one(self, image: StoredImage) -> Seen | Failed:
        try:
            data = await patiently(self.health, "object store", lambda: self._read(image))
            sha256 = await asyncio.to_thread(sha256_hex, data)
            found = await self._ask(data)
        except Rejected as refused:
            if refused.rule.startswith("annotate."):
                raise
            return Failed(file=image.file, rule=refused.rule, reason=refused.reason)
        boxes, foreign = boxes_of(found, self.schema)
        key = await self._kept(image, data)
        return Seen(
            file=image.file,
            medium=image.medium,
            key=key,
            sha256=sha256,
            model=found.model,
            boxes=boxes,
            foreign=foreign,
        )

    async def _read(self, image: StoredImage) -> bytes:
        try:
            return (await self.buckets[image.bucket].get(image.key, self.max_bytes)).data
        except BlobNotFound as error:
            raise Rejected("image.absent", f"{image.key} is not in the store", "Ask again.") from error
        except BlobTooLarge as error:
            reason = f"the file has {error.size_bytes} bytes, and may have {self.max_bytes}"
            raise Rejected("image.bytes", reason, "Make it smaller.") from error

    async def _ask(self, data: bytes) -> Prediction:
        """Ask until there is an answer, or the image seems to be why there is none. Raises Rejected."""
        lost = 0

        async def ask() -> Prediction:
            nonlocal lost
            try:
                return await self.client.predict(
                    data, project=self.project, model=self.model, confidence=self.confidence, max_detections=1000
                )
            except Away as error:
                lost += await self._is_back()
                if lost < MOST_LOST:
                    raise meant(error) from error
                raise Rejected(
                    "image.unanswered", str(error), "The service may have died of it; see its log."
                ) from error
            except ClientError as error:
                raise meant(error) from error

        return await patiently(self.health, SERVICE, ask)

    async def _is_back(self) -> bool:
        """Say whether the service answers other questions."""
        try:
            await self.client.models()
        except ClientError:
            return False
        return True

    async def _kept(self, image: StoredImage, data: bytes) -> str:
        """Return a key that our messages may refer to."""
        if image.bucket == "incoming" and image.key.startswith(self.keeping.prefix):
            return image.key
        return (await self.keeping.put(data)).key


async def model_of(client: AsyncClient, health: Health, project: str, model: str | None) -> Model:
    """Return what the service says of a project's model; waits for one. Raises Rejected when it is another."""

    async def ask() -> Model:
        try:
            told = await client.models()
        except ClientError as error:
            raise meant(error) from error
        found = told.of_project(project)
        if found is not None:
            return found
        if project in told.waiting:
            raise Unavailable(SERVICE, f"project {project} has no model yet")
        served = ", ".join([*(one.project for one in told.models), *told.waiting]) or "nothing"
        reason = f"the inference service does not serve the project {project}, but {served}"
        raise Rejected("annotate.project_not_served", reason, "Name another project, or have it served.")

    found = await patiently(health, SERVICE, ask)
    if model is not None and found.model != model:
        reason = f"the model {model} was asked for, and {found.model} is in service"
        raise Rejected("annotate.model_not_here", reason, "Promote it, or ask without --model.")
    return found


def meant(error: ClientError) -> Rejected | Unavailable:
    """Return what an error of the service means for a job: this image is bad, all are, or it is to be waited for."""
    if isinstance(error, Busy) or not isinstance(error, Refused):
        return Unavailable(SERVICE, str(error))
    if error.status in _OF_US:
        reason = f"the inference service refuses us ({error.rule}): {error.detail}"
        return Rejected(f"annotate.refused.{error.rule}", reason, error.hint)
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR and error.status != HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unavailable(SERVICE, str(error))  # of a proxy in between
    return Rejected(error.rule, error.detail, error.hint)
