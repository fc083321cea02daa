"""Our own streams are kept for ever: no pixel and no e-mail address stands in any of them."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from labelstream.blobs.s3 import S3Blobs
from labelstream.classes import ClassSchema
from labelstream.events.catalogue import EVENTS
from labelstream.service.health import Health
from labelstream.streams.amqp import encode
from labelstream.streams.message import Message
from labelstream.wire import native
from labelstream.wire.azaion_writer import AzaionWriter

from .conftest import Reference
from .drawing import shot
from .watching import PATIENCE_S, Onlooker

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow, pytest.mark.timeout(900)]

ADDRESS = "jane.doe@labels.example"
STREAMS = sorted({event.stream for event in EVENTS})
PIECE = 24  # bytes; as many do not stand in another place by chance


def messages() -> list[Message]:
    """Return messages with an address in every place that a producer could put one."""
    picture = shot("private", "private")
    plain: dict[str, Any] = {"name": "private", "image": picture.image, "boxes": picture.boxes, "validated": False}
    azaion = AzaionWriter(email=ADDRESS)
    said = native.write(**plain)
    return [
        native.write(**plain | {"producer": ADDRESS}),
        native.write(**plain | {"name": ADDRESS}),
        native.write(**plain | {"medium": f"film of {ADDRESS}"}),
        native.write(**plain | {"tags": [ADDRESS]}),
        native.write(**plain | {"boxes": [{**picture.boxes[0], "class": ADDRESS}]}),
        native.write(**plain | {"split": ADDRESS}),
        native.write("private", None, picture.boxes, kind="edited", producer=ADDRESS, validated=False),
        native.write_bulk("validated", [ADDRESS]),
        native.write_bulk("deleted", ["never there", ADDRESS]),
        native.write_class_schema(ClassSchema(name="shapes", classes=("square", "disc", ADDRESS))),
        native.write_erasure(medium=ADDRESS),
        replace(said, message_id=ADDRESS),
        replace(said, message_id="1", correlation_id=ADDRESS),
        replace(said, message_id="2", properties={**said.properties, "traceparent": ADDRESS}),
        replace(said, message_id="3", properties={**said.properties, "labelstream_replays_stream": ADDRESS}),
        replace(said, message_id="4", subject=ADDRESS, properties={}),
        azaion.created(ADDRESS, picture.image, []),
        azaion.edited("never there either", []),
        azaion.deleted(["private"]),
        azaion.narrow("narrow"),
        Message(body=ADDRESS.encode(), message_id="5", subject="annotation.submitted"),
    ]


async def test_no_address_and_no_pixel_stands_in_our_own_streams(reference: Reference, see: Onlooker) -> None:
    sent = [encode(one) for one in messages()]
    before = await see.end("annotation-events")
    await see.write("annotations", sent)
    await until(see, before + len(sent))
    images = await stored_images(reference)
    held = {stream: b"".join(one.raw for one in await see.raw(stream)) for stream in STREAMS}
    assert all(held[stream] for stream in ("annotation-events", "batch-events", "training-events", "model-events"))
    for stream, raw in held.items():
        assert ADDRESS.encode() not in raw, stream
        assert b"labels.example" not in raw, stream
        for image in images:
            middle = len(image) // 2
            assert image[middle : middle + PIECE] not in raw, stream


async def until(see: Onlooker, count: int) -> None:
    """Wait until so many events stand in `annotation-events`."""
    async with asyncio.timeout(PATIENCE_S):
        while await see.end("annotation-events") < count:  # noqa: ASYNC110  # nothing here could set an event
            await asyncio.sleep(0.1)


async def stored_images(reference: Reference) -> list[bytes]:
    """Return every original image in the data bucket."""
    store = reference.stack.store
    blobs = S3Blobs(store, store.data_bucket, Health())
    try:
        keys = [info.key async for info in blobs.list("default/images/")]
        return [(await blobs.get(key)).data for key in keys]
    finally:
        await blobs.close()
