"""What an annotation has to keep to. Every rule has an id that never changes its meaning."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from labelstream.classes import ClassSchema
from labelstream.errors import Rejected
from labelstream.events.annotation import Note
from labelstream.labels import DECIMALS, Box, Shape
from labelstream.wire.submission import RawBox, shown

LISTED = 10  # of boxes or classes in one sentence; the rest is counted


@dataclass(frozen=True)
class Rule:
    """What a message keeps to: breaking an `error` refuses it, a `warning` is noted in its receipt."""

    severity: Literal["error", "warning"]
    text: str


def _error(text: str) -> Rule:
    return Rule("error", text)


def _warning(text: str) -> Rule:
    return Rule("warning", text)


RULES = {
    "message.undecodable": _error("the message is AMQP 1.0 with a MessagePack body"),
    "message.unknown_type": _error("the message says a type that is known"),
    "message.malformed": _error("the body has the fields of its type"),
    "message.too_large": _error("names and labels fit into a receipt"),
    "labels.not_json": _error("Azaion's detections are a JSON list"),
    "name.missing": _error("the annotation has a name"),
    "text.personal": _error("no name, medium, tag or class name holds an e-mail address"),
    "image.missing": _error("a creation brings its image"),
    "image.bytes": _error("the image file is not too large"),
    "image.pixels": _error("the image does not have too many pixels"),
    "image.format": _error(
        "the image is a JPEG, PNG, WebP, TIFF or BMP file, in a form that shows the same everywhere"
    ),
    "image.undecodable": _error("the image decodes, in the memory that its size allows"),
    "image.decoder_crashed": _error("the image does not crash the decoder"),
    "image.decoder_timeout": _error("the image decodes in time"),
    "image.animated": _error("the image file holds one picture"),
    "image.absent": _error("the file that the message refers to is in the incoming bucket"),
    "image.changed": _error("the file that the message refers to has the digest that the message says"),
    "image.foreign_key": _error("the file that the message refers to lies under its input stream's own prefix"),
    "image.cmyk": _warning("the image is RGB or grey, and not CMYK, whose colours are only approximated"),
    "image.deep": _warning("the image has 8 bits a channel; more are scaled down to 8"),
    "image.transparent": _warning("the image is opaque; transparency is ignored"),
    "box.not_finite": _error("a box's numbers are finite"),
    "box.confidence": _error("a box's confidence lies between 0 and 1"),
    "box.degenerate": _error("a box has a width and a height"),
    "box.outside": _error("a box lies inside the image, within a tolerance"),
    "box.clamped": _warning("a box lies inside the image; what sticks out a little is cut at the border"),
    "box.duplicate": _warning("an object has one box; exact repeats are left out"),
    "class.unknown": _error("a box's class is in the project's schema"),
    "trust.may_not_validate": _error("a validation comes from an input stream that may validate"),
    "trust.may_not_change_schema": _error("a class schema comes from an input stream that may change it"),
    "trust.may_not_erase": _error("an erasure comes from an input stream that may erase"),
    "schema.not_append_only": _error("a class schema only adds classes to the one before"),
    "erasure.nothing": _error("an erasure names something that is there"),
    "quota.image_bytes": _error("the images of an input stream stay within its quota"),
    "internal.killed_service": _error("the message does not end the service, time after time"),
}


@dataclass(frozen=True)
class Checked:
    """Boxes that lie inside their image, as they are stored; their classes are still as they were sent."""

    boxes: tuple[RawBox, ...]
    notes: tuple[Note, ...] = ()


def check_boxes(boxes: Iterable[RawBox], tolerance: float) -> Checked:
    """Check the boxes' geometry; `tolerance` is how far one may stick out, in sides of the image.

    Raises Rejected at the first box that breaks a rule.
    """
    checked: list[RawBox] = []
    clamped: list[int] = []
    for number, raw in enumerate(boxes):
        _check_numbers(number, raw)
        inside = _inside(number, raw, tolerance)
        if inside is not raw:
            clamped.append(number)
        checked.append(_rounded(number, inside))
    return Checked(tuple(checked), _noted("box.clamped", clamped, len(checked), "cut at the border of the image"))


def to_shapes(checked: Checked, schema: ClassSchema) -> tuple[tuple[Shape, ...], tuple[Note, ...]]:
    """Give the boxes their class ids and leave out exact repeats; returns the shapes and all notes.

    Of boxes that repeat each other the most confident stays. Raises Rejected at the first class that
    the schema does not have.
    """
    kept: dict[tuple[int, float, float, float, float], Box] = {}
    repeats: list[int] = []
    for number, raw in enumerate(checked.boxes):
        class_id = _class_id(number, raw.cls, schema)
        box = Box(class_id=class_id, x=raw.x, y=raw.y, w=raw.w, h=raw.h, confidence=raw.confidence)
        place = (class_id, box.x, box.y, box.w, box.h)
        first = kept.get(place)
        if first is not None:
            repeats.append(number)
        if first is None or _confidence(box) > _confidence(first):
            kept[place] = box
    repeated = _noted("box.duplicate", repeats, len(checked.boxes), "left out: the same class and place as another")
    return tuple(kept.values()), checked.notes + repeated


# ---- geometry


def _check_numbers(number: int, raw: RawBox) -> None:
    sides = (raw.x, raw.y, raw.w, raw.h)
    if not all(math.isfinite(value) for value in (*sides, raw.confidence or 0.0)):
        raise Rejected(
            "box.not_finite",
            f"box {number} is {sides} with the confidence {raw.confidence}",
            "Send numbers, neither NaN nor infinite.",
        )
    if raw.confidence is not None and not 0 <= raw.confidence <= 1:
        raise Rejected(
            "box.confidence",
            f"box {number} has the confidence {raw.confidence:g}",
            "Send a confidence between 0 and 1, or none.",
        )
    if raw.w <= 0 or raw.h <= 0:
        raise _degenerate(number, raw)


def _inside(number: int, raw: RawBox, tolerance: float) -> RawBox:
    """Return the box itself where it lies inside the image, or what of it does."""
    x1, y1, x2, y2 = raw.x - raw.w / 2, raw.y - raw.h / 2, raw.x + raw.w / 2, raw.y + raw.h / 2
    least, most = min(x1, y1), max(x2, y2)
    if least < -tolerance or most > 1 + tolerance:
        raise Rejected(
            "box.outside",
            f"box {number} spans {x1:.4g} to {x2:.4g} and {y1:.4g} to {y2:.4g} of the image's width and height",
            "Send centre and size as fractions of the image (0 to 1), after its EXIF orientation is applied.",
        )
    half_a_step = 0.5 / 10**DECIMALS
    if least >= -half_a_step and most <= 1 + half_a_step:  # what rounding makes of 0.95 + 0.1 / 2 is nothing to note
        return raw
    x1, y1, x2, y2 = (min(max(value, 0.0), 1.0) for value in (x1, y1, x2, y2))
    return replace(raw, x=(x1 + x2) / 2, y=(y1 + y2) / 2, w=x2 - x1, h=y2 - y1)


def _rounded(number: int, raw: RawBox) -> RawBox:
    x, y, w, h = (round(value, DECIMALS) for value in (raw.x, raw.y, raw.w, raw.h))
    rounded = replace(raw, x=x, y=y, w=w, h=h)
    if w <= 0 or h <= 0:
        raise _degenerate(number, raw)
    return rounded


def _degenerate(number: int, raw: RawBox) -> Rejected:
    return Rejected(
        "box.degenerate",
        f"box {number} is {raw.w:g} wide and {raw.h:g} high inside the image",
        "Send a positive width and height beside the box's centre, and leave out boxes without an area.",
    )


# ---- classes


def _class_id(number: int, said: int | str, schema: ClassSchema) -> int:
    found = schema.id_of(said) if isinstance(said, str) else said if 0 <= said < len(schema.classes) else None
    if found is None:
        similar = schema.similar(said) if isinstance(said, str) else ()
        meant = f"Did you mean {' or '.join(similar)}? " if similar else ""
        raise Rejected(
            "class.unknown",
            f"box {number} has the class {shown(said)}",
            f"{meant}The schema {schema.name} (version {schema.version}) has the "
            f"{len(schema.classes)} classes {_listed([f'{i} {name}' for i, name in enumerate(schema.classes)])}. "
            "Send one of these, or add the class with `labelstream schema add`, then replay this message.",
        )
    return found


def _confidence(box: Box) -> float:
    return -1.0 if box.confidence is None else box.confidence


# ---- notes


def _noted(rule: str, numbers: Sequence[int], of: int, what: str) -> tuple[Note, ...]:
    """Return one note that lists boxes, or none where there are none."""
    if not numbers:
        return ()
    return (Note(rule=rule, reason=f"{len(numbers)} of {of} boxes {what}: {_listed([str(n) for n in numbers])}"),)


def _listed(words: Sequence[str]) -> str:
    more = len(words) - LISTED
    return ", ".join(words[:LISTED]) + (f" and {more} more" if more > 0 else "")
