"""Jobs come to an end: when they are cancelled while they wait, and when the service can't take an image."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import Any

from inference.annotating.looking import MOST_LOST, Eyes
from inference.annotating.work import AnnotateWork
from labelstream import keys
from labelstream.annotating import AnnotateRequest, ImageList, StoredImage, job_of, put_images
from labelstream.blobs.memory import MemoryBlobs
from labelstream.classes import ClassSchema
from labelstream.client import Away, Models
from labelstream.jobs.worker import Attempt
from labelstream.producer import ByReference
from labelstream.service.health import Health

IMAGE = StoredImage(bucket="incoming", key="annotations-ai/1.jpg", file="1.jpg")


class Awaited:
    """Tools of a service that has no model."""

    def __init__(self) -> None:
        self.waits = asyncio.Event()
        self.let_go = False

    @asynccontextmanager
    async def eyes(self, _request: AnnotateRequest) -> Any:
        self.waits.set()
        try:
            await asyncio.Event().wait()
            yield
        finally:
            self.let_go = True


class Dying:
    """A service that dies of one image, and is up again when it is asked for its models."""

    def __init__(self, *, comes_back: bool) -> None:
        self.comes_back = comes_back
        self.deaths = 0
        self.many = asyncio.Event()

    async def predict(self, _image: bytes, **_wishes: Any) -> Any:
        self.deaths += 1
        if self.deaths > MOST_LOST:
            self.many.set()
        raise Away("connection reset")

    async def models(self) -> Models:
        if not self.comes_back:
            raise Away("connection refused")
        return Models((), ("default",))


async def test_a_job_that_waits_for_a_model_ends_when_it_is_cancelled() -> None:
    blobs, tools = MemoryBlobs(), Awaited()
    listed = await put_images(blobs, "default", ImageList(images=(IMAGE,)))
    job = job_of(AnnotateRequest(project="default", images=listed, count=1, source="test"))
    work = AnnotateWork(blobs, Health(), tools, portion=5, look_s=0.001)  # type: ignore[arg-type]
    doing = asyncio.create_task(work.do(Attempt(job, 1, blobs, Health())))
    await tools.waits.wait()
    await blobs.create(keys.job_cancel("default", job.id), b"{}")
    result = await doing
    assert (result.cancelled, result.total, result.published) == (True, 1, 0)
    assert tools.let_go


def eyes(client: Dying, incoming: MemoryBlobs) -> Eyes:
    return Eyes(
        client=client,  # type: ignore[arg-type]
        buckets={"incoming": incoming},
        keeping=ByReference(incoming, "annotations-ai/", Health()),
        health=Health(),
        project="default",
        schema=ClassSchema(name="cells", classes=("red",)),
        model=None,
        confidence=0.5,
        at_once=1,
        max_bytes=100,
    )


async def test_an_image_over_which_the_service_dies_again_and_again_comes_to_nothing() -> None:
    client, incoming = Dying(comes_back=True), MemoryBlobs()
    await incoming.put(IMAGE.key, b"poison")
    (failed,) = (await eyes(client, incoming).look([IMAGE])).failed
    assert (failed.file, failed.rule) == ("1.jpg", "image.unanswered")
    assert client.deaths == MOST_LOST


async def test_a_service_that_is_away_is_waited_for_whatever_the_image() -> None:
    client, incoming = Dying(comes_back=False), MemoryBlobs()
    await incoming.put(IMAGE.key, b"harmless")
    looking = asyncio.create_task(eyes(client, incoming).look([IMAGE]))
    await client.many.wait()
    assert not looking.done()
    looking.cancel()
