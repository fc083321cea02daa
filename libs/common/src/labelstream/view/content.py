"""An annotation's content as the view stores it: compact, and the same after a round trip."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgpack

from labelstream.events.annotation import Annotation, ImageRef
from labelstream.labels import DECIMALS, Box, Shape

_UNIT = 10**DECIMALS
_DIGEST = "*"  # stands for the image's digest in a packed key


def pack_context(annotation: Annotation) -> bytes:
    """Pack what many annotations share, so that it is stored once."""
    image = annotation.image
    pattern = image.key.replace(image.sha256, _DIGEST)
    values = [pattern, image.format, annotation.schema_digest, annotation.source, annotation.split, annotation.tags]
    return bytes(msgpack.packb(values))


def pack_content(annotation: Annotation) -> bytes:
    """Pack what is the annotation's own."""
    image = annotation.image
    shapes = [_pack_shape(shape) for shape in annotation.shapes]
    return bytes(msgpack.packb([image.size_bytes, image.width, image.height, bytes.fromhex(annotation.labels), shapes]))


def unpack(context: bytes, content: bytes, sha256: bytes, medium: str) -> Annotation:
    """Put an annotation together again."""
    pattern, image_format, schema_digest, source, split, tags = msgpack.unpackb(context)
    size_bytes, width, height, labels, shapes = msgpack.unpackb(content)
    digest = sha256.hex()
    image = ImageRef(
        key=pattern.replace(_DIGEST, digest),
        sha256=digest,
        size_bytes=size_bytes,
        format=image_format,
        width=width,
        height=height,
    )
    return Annotation(
        image=image,
        medium=medium,
        split=split,
        shapes=tuple(_unpack_shape(shape) for shape in shapes),
        labels=labels.hex(),
        source=source,
        tags=tuple(tags),
        schema_digest=schema_digest,
    )


def labels_in(content: bytes) -> str:
    """Return the digest of the labels in a packed content."""
    labels: bytes = msgpack.unpackb(content)[3]
    return labels.hex()


def _pack_shape(shape: Shape) -> list[Any]:
    packed: list[Any] = [shape.class_id, *(_pack_fraction(v) for v in (shape.x, shape.y, shape.w, shape.h))]
    return packed if shape.confidence is None else [*packed, shape.confidence]


def _unpack_shape(packed: list[Any]) -> Shape:
    class_id, *numbers = packed
    x, y, w, h = _fractions(numbers[:4])
    return Box(class_id=class_id, x=x, y=y, w=w, h=h, confidence=numbers[4] if len(numbers) > 4 else None)


def _pack_fraction(value: float) -> int | float:
    """A stored box has six decimals: the whole number of millionths is half as long as the float."""
    millionths = round(value * _UNIT)
    return millionths if millionths / _UNIT == value else value


def _fractions(numbers: Iterable[int | float]) -> list[float]:
    return [number / _UNIT if isinstance(number, int) else number for number in numbers]
