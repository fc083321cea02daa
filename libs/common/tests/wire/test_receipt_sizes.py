"""The largest receipts that the limits allow fit into a frame: every broker takes 1 MiB, 950 kB is ours."""

from __future__ import annotations

import pytest

from labelstream.classes import ClassSchema
from labelstream.events.annotation import (
    Annotation,
    AnnotationErased,
    AnnotationSettled,
    Asked,
    HeldEdit,
    ImageRef,
    Note,
    Outcome,
    OutcomeKind,
    Settlement,
)
from labelstream.events.base import Event
from labelstream.events.envelope import Envelope
from labelstream.labels import Box
from labelstream.streams.amqp import encode
from labelstream.values import Position
from labelstream.wire import native
from labelstream.wire.limits import MAX_BOXES, MAX_NAMES, MAX_NAMES_BYTES, MAX_TAG, MAX_TAGS, MAX_TEXT
from labelstream.wire.reading import read_submission
from labelstream.wire.submission import ImageReference

MOST_BYTES = 950_000
STREAM = "s" * 40
HUGE = 1 << 40
MOST_EXPIRED = 20  # as annotation-ingest has it
PLACE = Position(stream=STREAM, offset=HUGE)
ID, SHA256 = "ж" * 200, "a" * 64
# Short texts pay a header each, long ones pay two or three bytes for it: this is the costliest way to fill the limit.
NAMES = [("n" * (MAX_NAMES_BYTES // MAX_NAMES - 5) + f"{number:05}") for number in range(MAX_NAMES)]
TEXT = "\N{GRINNING FACE}" * MAX_TEXT
# What expires is told by whatever receipt comes next, and a creation settles what was held for it.
LATE = tuple(
    Settlement(name=TEXT, input=PLACE, asked="validated", outcome="superseded") for _ in range(MOST_EXPIRED + 3)
)
TAGS = [f"{number:02}" + "\N{GRINNING FACE}" * (MAX_TAG - 2) for number in range(MAX_TAGS)]


def size_of(event: Event) -> int:
    envelope = Envelope.of(
        event, source="annotation-ingest", answers="x", project="p" * 63, flow=ID, traceparent="t" * 200
    )
    return len(encode(envelope.to_message()))


def receipt(asked: Asked, *outcomes: Outcome, class_schema: ClassSchema | None = None) -> AnnotationSettled:
    return AnnotationSettled(
        input=PLACE,
        message_id=ID,
        message_key=SHA256,
        producer=SHA256,
        wire="unknown",
        asked=asked,
        outcomes=outcomes,
        replays=PLACE,
        settles=LATE,
        class_schema=class_schema,
    )


@pytest.mark.parametrize("outcome", ["duplicated", "superseded", "unvalidated", "held"])
def test_the_receipt_of_the_longest_bulk_message_fits(outcome: OutcomeKind) -> None:
    names = read_submission(native.write_bulk("validated", NAMES)).names
    assert len(names) == MAX_NAMES
    assert sum(len(name) for name in names) == MAX_NAMES_BYTES
    outcomes = (Outcome(name=name, outcome=outcome, revision=HUGE, validated=True, repeats=PLACE) for name in names)
    assert size_of(receipt("validated", *outcomes)) < MOST_BYTES


def test_the_receipt_of_the_most_boxes_fits() -> None:
    box = {"class": "c", "x": 0.123456, "y": 0.123456, "w": 0.123456, "h": 0.123456, "confidence": 0.123456}
    image = ImageReference("k" * 1024, SHA256)
    read = read_submission(native.write(TEXT, image, [box] * MAX_BOXES, medium=TEXT, tags=TAGS))
    assert (len(read.boxes), len(read.tags)) == (MAX_BOXES, MAX_TAGS)
    shapes = tuple(Box(class_id=HUGE, x=b.x, y=b.y, w=b.w, h=b.h, confidence=b.confidence) for b in read.boxes)
    stored = ImageRef(key="k" * 1024, sha256=SHA256, size_bytes=HUGE, format="jpeg", width=HUGE, height=HUGE)
    annotation = Annotation(
        image=stored, medium=TEXT, split="train", shapes=shapes, labels=SHA256, tags=read.tags, schema_digest=SHA256
    )
    edit = HeldEdit(shapes=shapes, tags=read.tags, schema_digest=SHA256)
    notes = tuple(Note(rule="box.duplicate", reason="r" * 200) for _ in range(100))
    recorded = Outcome(
        name=TEXT, outcome="recorded", revision=HUGE, validated=True, annotation=annotation, repeats=PLACE, notes=notes
    )
    held = Outcome(name=TEXT, outcome="held", edit=edit, notes=notes)
    for outcome in (recorded, held):
        assert size_of(receipt("created", outcome)) < MOST_BYTES


def test_the_receipt_of_the_longest_erasure_fits() -> None:
    names = read_submission(native.write_erasure(NAMES)).names
    for images, kept in ((names, ()), ((), names)):
        erased = AnnotationErased(
            input=PLACE,
            message_id=ID,
            message_key=SHA256,
            producer=SHA256,
            medium=TEXT,
            names=names,
            images=tuple(SHA256 for _ in images),
            kept_images=tuple(SHA256 for _ in kept),
            remaining=HUGE,
        )
        assert size_of(erased) < MOST_BYTES


def test_the_receipt_of_the_largest_class_schema_fits() -> None:
    schema = ClassSchema(name=TEXT, version=(1 << 31) - 1, classes=tuple(NAMES))
    read = read_submission(native.write_class_schema(schema)).class_schema
    assert read == schema
    assert size_of(receipt("schema_changed", class_schema=read)) < MOST_BYTES
