"""The picture of a refused format goes when the image that it shows is erased."""

from __future__ import annotations

import pytest

from exporter.exporting.pictures import Pictures
from labelstream import keys
from labelstream.blobs.memory import MemoryBlobs
from labelstream.errors import Unavailable
from labelstream.events.envelope import Envelope
from labelstream.events.model import Agreement, ModelRefused, WorstImage
from labelstream.models import ModelBook
from labelstream.values import FileRef, Position, sha256_hex

IMAGE = sha256_hex(b"an image")
KEY = keys.image("cars", IMAGE, "jpg")


def refused(format_name: str, image: str) -> ModelRefused:
    worst = WorstImage(image=image, box_px=9, score=0.1, unmatched=1)
    agreement = Agreement(images=5, boxes=9, unmatched=1, max_box_px=9, max_score=0.1, worst=worst)
    return ModelRefused(
        model="m", input=Position(stream="training-events", offset=0), job="job", rule="export.disagrees", reason="x",
        format=format_name, agreement=agreement, picture=FileRef.of(f"{format_name}.png", b"PNG"),
    )  # fmt: skip


@pytest.fixture
async def blobs() -> MemoryBlobs:
    blobs = MemoryBlobs()
    for key in (KEY, "onnx-int8.png", "openvino-int8.png"):
        await blobs.put(key, b"PNG")
    return blobs


@pytest.fixture
def book() -> ModelBook:
    book = ModelBook()
    other = sha256_hex(b"an image that was erased long ago")
    for offset, event in enumerate((refused("onnx-int8", IMAGE), refused("openvino-int8", other))):
        book.fold(offset, Envelope.of(event, source="exporter", answers=str(offset), project="cars"))
    return book


async def there(blobs: MemoryBlobs) -> set[str]:
    return {each.key async for each in blobs.list("") if each.key.endswith(".png")}


async def test_a_picture_goes_with_its_image_and_not_before(blobs, book):
    pictures = Pictures(book, blobs)
    await pictures.tick()
    assert await there(blobs) == {"onnx-int8.png"}
    await blobs.delete(KEY)
    await pictures.tick()
    assert await there(blobs) == set()
    await pictures.tick()


async def test_what_an_outage_left_is_done_afterwards(blobs, book):
    pictures = Pictures(book, blobs)
    blobs.away = "maintenance"
    with pytest.raises(Unavailable):
        await pictures.tick()
    blobs.away = None
    await pictures.tick()
    assert await there(blobs) == {"onnx-int8.png"}
