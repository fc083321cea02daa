"""What the producers of the `ingest` benchmark send, and what was recorded before they came."""

from __future__ import annotations

import io
import os

from PIL import Image, ImageFilter

from labelstream.events.annotation import Annotation, AnnotationSettled, ImageRef, Outcome
from labelstream.events.envelope import Envelope
from labelstream.labels import Box, labels_digest
from labelstream.schemas import load_named_schema
from labelstream.streams.message import Message
from labelstream.values import Position, sha256_hex
from labelstream.wire import native
from labelstream.wire.submission import ImageReference

IMAGE_BYTES = 200_000
NAMES_EACH = 1_000  # of a bulk message
EARLIER = "earlier"  # an input whose messages are answered before the clock starts
BOXES = [
    {"class": "car", "x": 0.5, "y": 0.5, "w": 0.2, "h": 0.1},
    {"class": "bus", "x": 0.2, "y": 0.3, "w": 0.1, "h": 0.1},
]


def images(count: int) -> list[bytes]:
    """Return JPEG files of 1280 x 720 pixels and IMAGE_BYTES each; no two are the same."""
    noise = Image.effect_noise((1280, 720), 90).filter(ImageFilter.GaussianBlur(1))
    shades = [shade("L").resize(noise.size) for shade in (Image.radial_gradient, Image.linear_gradient)]
    file = io.BytesIO()
    Image.merge("RGB", [noise, *shades]).save(file, "JPEG", quality=85)
    picture = file.getvalue()
    return [_commented(picture) for _ in range(count)]


def _commented(picture: bytes) -> bytes:
    """Put a comment into a JPEG file that makes it IMAGE_BYTES long, and another file than all before."""
    length = IMAGE_BYTES - len(picture) - 2
    if not 16 <= length < 1 << 16:
        raise ValueError(f"a picture of {len(picture)} bytes can't be made {IMAGE_BYTES} bytes long")
    comment = b"\xff\xfe" + length.to_bytes(2, "big") + os.urandom(length - 2)
    return picture[:2] + comment + picture[2:]


def inline(files: list[bytes]) -> list[Message]:
    """Submit each image inside its message."""
    return [native.write(f"frame-{n}", file, BOXES, message_id=f"m-{n}") for n, file in enumerate(files)]


def by_reference(files: dict[str, bytes]) -> list[Message]:
    """Submit images that lie in the incoming bucket, by key."""
    references = (ImageReference(key, sha256_hex(file)) for key, file in files.items())
    return [native.write(f"frame-{n}", one, BOXES, message_id=f"m-{n}") for n, one in enumerate(references)]


def bulk(count: int) -> list[Message]:
    """Validate NAMES_EACH annotations with each message, and each annotation once."""
    return [native.write_bulk("validated", names_of(n), message_id=f"m-{n}") for n in range(count)]


def names_of(message: int) -> list[str]:
    """Return the names in the bulk message of that number."""
    return [f"camera-{message:03d}/frame-{n:06d}" for n in range(NAMES_EACH)]


def recorded(project: str, count: int) -> list[Envelope]:
    """Return receipts that recorded every annotation of `count` bulk messages."""
    schema = load_named_schema("example").digest
    return [_receipt(project, number, schema) for number in range(count)]


def _receipt(project: str, number: int, schema: str) -> Envelope:
    outcomes = tuple(
        Outcome(name=name, outcome="recorded", revision=1, validated=False, annotation=_annotation(name, schema))
        for name in names_of(number)
    )
    event = AnnotationSettled(
        input=Position(stream=EARLIER, offset=number),
        message_key=sha256_hex(f"{project}/{number}".encode()),
        wire="native",
        asked="created",
        outcomes=outcomes,
    )
    return Envelope.of(event, source="benchmark", answers=f"{EARLIER}/{number}", project=project)


def _annotation(name: str, schema: str) -> Annotation:
    shapes = (Box(class_id=2, x=0.5, y=0.5, w=0.2, h=0.1),)
    digest = sha256_hex(name.encode())
    image = ImageRef(
        key=f"images/{digest}.jpg", sha256=digest, size_bytes=IMAGE_BYTES, format="jpeg", width=1280, height=720
    )
    medium = name.partition("/")[0]
    return Annotation(image=image, medium=medium, shapes=shapes, labels=labels_digest(shapes), schema_digest=schema)
