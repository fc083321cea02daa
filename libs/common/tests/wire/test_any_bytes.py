"""Whatever comes, it is read or refused, and neither what is read nor why it is refused can harm what keeps it."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelstream.errors import Rejected
from labelstream.streams.message import Message, PropertyValue
from labelstream.wire.personal import is_personal
from labelstream.wire.reading import read_submission
from labelstream.wire.submission import ImageReference, Submission

from .samples import BOX, golden_messages

GOLDEN = list(golden_messages().values())
SUBJECTS = sorted({message.subject for message in GOLDEN if message.subject})
STATUSES = [{"AnnotationStatus": number} for number in (10, 20, 30, 40)]
deterministic = settings(max_examples=200, derandomize=True, deadline=None, database=None)


def answered(message: Message) -> Submission | Rejected:
    """Return what `message` is read as, or why it is refused, once that is known to be fit to be kept."""
    try:
        return _fit(read_submission(message))
    except Rejected as error:
        refused = error
    assert not is_personal(str(refused))
    assert refused.rule.partition(".")[0] in {"message", "name", "labels", "text"}
    assert len(str(refused)) < 1000
    str(refused).encode()
    return refused


def _fit(read: Submission) -> Submission:
    assert read.names or read.class_schema or (read.kind == "erased" and read.medium)
    texts = [*read.names, *read.tags, read.medium or "", *(b.cls for b in read.boxes if isinstance(b.cls, str))]
    if isinstance(read.image, ImageReference):
        texts.append(read.image.key)
    for text in texts:
        assert "\0" not in text
        assert not is_personal(text)
        text.encode()
    for box in read.boxes:
        assert type(box.cls) in {int, str}
        assert {type(value) for value in (box.x, box.y, box.w, box.h)} <= {float, int}
    msgpack.packb(texts)
    return read


@st.composite
def mutated(draw: st.DrawFn) -> Message:
    """A golden message with some of its bytes changed, repeated, removed or put in."""
    message = draw(st.sampled_from(GOLDEN))
    body = bytearray(message.body)
    if draw(st.booleans()):  # so that more than the first mistake is met
        for at in draw(st.lists(st.integers(0, len(body) - 1), min_size=1, max_size=3)):
            body[at] = draw(st.integers(0, 255))
        return replace(message, body=bytes(body))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(body)))
        end = min(len(body), at + draw(st.integers(0, 8)))
        body[at:end] = draw(st.one_of(st.binary(max_size=4), st.just(bytes(body[at:end]) * 2), st.sampled_from(NASTY)))
    return replace(message, body=bytes(body))


# What a value of MessagePack may be made to look like.
NASTY = [
    b"\xc1",
    b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xd3\x80\0\0\0\0\0\0\0",
    b"\xcb" + struct.pack(">d", float("nan")),
    b"\xcb" + struct.pack(">d", float("-inf")),
    b"\xca" + struct.pack(">f", 1e38),
    b"\xc7\x0c\xff" + struct.pack(">Iq", 999_999_999, 1 << 62),  # a timestamp far away
    b"\xc7\x0c\xff" + struct.pack(">Iq", 1 << 31, 0),  # one with too many nanoseconds
    b"\xd7\xff" + b"\xff" * 8,
    b"\xd4\x05x",  # an unknown extension
    b"\xa2\xff\xfe",  # no UTF-8
    b"\xa3\xed\xa0\x80",  # half of a surrogate pair
    b"\xa1\0",
    b"\xdd\xff\xff\xff\xff",  # an array of four thousand million items
    b"\xdf\xff\xff\xff\xff",
    b"\xdb\xff\xff\xff\xff",
    b"\x82\x01\xa1a\x01\xa1b",  # one key twice
    b"\x81\x90\x01",  # a list for a key
    b"\x91" * 600 + b"\xc0",
    b"\x81\xa1a" * 600 + b"\xc0",
]

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 63), (1 << 64) - 1),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["a\0b", "someone@example.org", "n" * 600, "[", "[{}]", '[{"cls": 1e999}]', "9" * 5000, "٣"]),
    st.binary(max_size=8),
    st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=4)),
    st.builds(msgpack.Timestamp, st.integers(-(1 << 63), (1 << 63) - 1), st.integers(0, 999_999_999)),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)
DETECTIONS = st.lists(
    st.fixed_dictionaries({}, optional=dict.fromkeys(("cls", "CLS", "x", "y", "w", "h", "confidence"), SCALARS)),
    max_size=3,
)


@deterministic
@given(mutated())
def test_a_mutated_message_is_read_or_refused(message: Message) -> None:
    answered(message)


@deterministic
@given(
    st.sampled_from(SUBJECTS),
    st.dictionaries(
        st.sampled_from(
            [
                "name",
                "names",
                "image",
                "image_ref",
                "medium",
                "split",
                "boxes",
                "tags",
                "validated",
                "source",
                "classes",
            ]
        ),
        VALUES,
    ),
)
def test_any_values_in_the_fields_of_a_native_message_are_read_or_refused(subject: str, fields: dict[str, Any]) -> None:
    answered(Message(body=msgpack.packb({"name": "n", **fields}), subject=subject))


@deterministic
@given(
    st.sampled_from(STATUSES),
    st.dictionaries(st.integers(-1, 12), VALUES, max_size=6),
    st.one_of(VALUES, DETECTIONS),
    st.booleans(),
)
def test_any_values_in_the_fields_of_an_azaion_message_are_read_or_refused(
    status: dict[str, PropertyValue], fields: dict[int, Any], detections: Any, narrow: bool
) -> None:
    body = {0: ["n"], 1: "n", **fields} if narrow else {0: None, 1: "n", 2: "m", **fields, 5: detections}
    answered(Message(body=msgpack.packb(body), properties=status))


@deterministic
@given(
    st.dictionaries(
        st.sampled_from(
            [
                "AnnotationStatus",
                "annotationstatus",
                "cloudEvents_type",
                "labelstream_replays_stream",
                "labelstream_replays_offset",
            ]
        ),
        st.one_of(st.booleans(), st.integers(-(1 << 63), (1 << 64) - 1), st.floats(), st.text(), st.binary()),
    ),
    st.one_of(st.none(), st.text(max_size=5)),
)
def test_any_properties_are_read_or_refused(properties: dict[str, PropertyValue], subject: str | None) -> None:
    answered(Message(body=msgpack.packb({"name": "n"}), subject=subject, properties=properties))


@pytest.mark.parametrize("nasty", NASTY, ids=range(len(NASTY)))
@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_nasty_value_as_a_native_body_or_in_a_field_is_read_or_refused(subject: str, nasty: bytes) -> None:
    for body in (nasty, b"\x81\xa4name" + nasty, b"\x82\xa4name\xa1n\xa5boxes" + nasty, b"\x81\xa5names" + nasty):
        answered(Message(body=body, subject=subject))


@pytest.mark.parametrize("nasty", NASTY, ids=range(len(NASTY)))
@pytest.mark.parametrize("status", STATUSES, ids=range(4))
def test_a_nasty_value_as_an_azaion_body_or_in_a_field_is_read_or_refused(
    status: dict[str, PropertyValue], nasty: bytes
) -> None:
    for body in (nasty, b"\x91" + nasty, b"\x92\xc0" + nasty, b"\x96" + nasty + b"\xa1n\xa1m\xc0\xc0" + nasty):
        answered(Message(body=body, properties=status))


def test_a_box_of_any_number_is_left_to_the_rules_of_boxes() -> None:
    for value in (float("nan"), float("inf"), -1e308, (1 << 64) - 1):
        read = answered(
            Message(body=msgpack.packb({"name": "n", "boxes": [{**BOX, "x": value}]}), subject="annotation.submitted")
        )
        assert isinstance(read, Submission)
        assert len(read.boxes) == 1
