"""Messages to bytes and back, and what is made of bytes that are no message."""

from __future__ import annotations

import random
import struct
import uuid

import pytest
from rstream import AMQPMessage, Properties

from labelstream.errors import Rejected
from labelstream.streams.amqp import decode, encode, encode_all
from labelstream.streams.message import Message

FULL = Message(
    body=b"body",
    message_id="id",
    correlation_id="flow",
    subject="annotation.settled",
    content_type="application/msgpack",
    created_ms=1_700_000_000_123,
    properties={"text": "Здравей", "int": -3, "large": 1 << 40, "float": 0.25, "bool": False, "bytes": b"\xff"},
)


def section(code: int, value: bytes) -> bytes:
    return b"\x00\x53" + bytes([code]) + value


@pytest.mark.parametrize("message", [FULL, Message(b"\x00"), Message(b"x" * 300_000, subject="s" * 300)])
def test_a_decoded_message_is_what_was_encoded(message: Message) -> None:
    assert decode(encode(message)) == message


def test_an_empty_body_is_not_encoded() -> None:
    with pytest.raises(ValueError, match="body"):
        encode(Message(b""))


def test_ids_that_do_not_rise_are_not_encoded() -> None:
    for ids in [(1, 1), (2, 1), (0, 1), (-1,)]:
        with pytest.raises(ValueError, match="rise"):
            encode_all([(number, FULL) for number in ids])


@pytest.mark.parametrize(
    ("foreign", "ours"),
    [
        (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (42, "42"),
        (b"text in bytes", "text in bytes"),
        (b"\xff\x00", "ff00"),
        ("text", "text"),
    ],
)
def test_foreign_ids_become_text(foreign: object, ours: str) -> None:
    raw = bytes(AMQPMessage(body=b"x", properties=Properties(message_id=foreign, correlation_id=foreign)))

    message = decode(raw)

    assert (message.message_id, message.correlation_id) == (ours, ours)


def test_application_properties_without_a_simple_value_are_left_out() -> None:
    raw = bytes(AMQPMessage(body=b"x", application_properties={"none": None, "list": [1], "id": uuid.UUID(int=1)}))

    assert decode(raw).properties == {"id": "00000000-0000-0000-0000-000000000001"}


def test_a_body_in_several_data_sections_is_joined() -> None:
    raw = section(0x75, b"\xa0\x02ab") + section(0x75, b"\xb0\x00\x00\x00\x03cde")

    assert decode(raw).body == b"abcde"


def test_the_other_sections_of_a_message_are_passed_over() -> None:
    header, annotations, footer = section(0x70, b"\xc0\x02\x01\x41"), section(0x72, b"\xc1\x01\x00"), b"\xc1\x01\x00"

    assert decode(header + annotations + section(0x75, b"\xa0\x01x") + section(0x78, footer)) == Message(b"x")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00",
        b"\x00\x53\x75",
        b"plain text",
        b"\x1f\x8b\x08 gzip",
        section(0x75, b"\xa0\x00"),
        section(0x75, b"\x40"),
        section(0x75, b"\xa1\x01x"[:1]),
        section(0x75, b"\xc0\x02\x01\x41"),
        section(0x77, b"\xa1\x01x"),
        section(0x74, b"\xc1\x03\x02\xa1\x01") + section(0x75, b"\xa0\x01x"),
        section(0x73, b"\xc0\x10" + bytes([200]) + b"\x40" * 15) + section(0x75, b"\xa0\x01x"),
        section(0x73, b"\xc0\x0f\x0e" + b"\x40" * 14) + section(0x75, b"\xa0\x01x"),
    ],
)
def test_bytes_that_are_no_message_with_a_body_are_rejected_with_a_hint(raw: bytes) -> None:
    with pytest.raises(Rejected) as error:
        decode(raw)
    assert error.value.rule == "message.undecodable"
    assert "data section" in error.value.hint


@pytest.mark.parametrize("kind", [0xD0, 0xD1, 0xF0])
@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_a_few_bytes_that_claim_billions_of_items_take_no_memory(kind: int, count: int) -> None:
    huge = bytes([kind]) + struct.pack(">II", 4, 0xFFFFFFFF)
    key = b"\xa1\x01k"
    body = section(0x75, b"\xa0\x01x")
    inside = section(0x74, b"\xc1" + bytes([1 + len(key) + len(huge), count]) + key + huge)
    behind = section(0x74, b"\xc1" + bytes([1 + len(huge) + 3, count]) + b"\x00\x53\x74" + huge)

    for raw in (section(0x74, huge) + body, section(0x73, huge) + body, inside + body, behind + body):
        with pytest.raises(Rejected):
            decode(raw)


def test_a_message_that_was_cut_short_anywhere_is_rejected() -> None:
    raw = encode(FULL)
    for length in range(len(raw)):
        with pytest.raises(Rejected):
            decode(raw[:length])


def test_damaged_and_random_bytes_never_raise_anything_but_rejected() -> None:
    chance = random.Random(7)
    raw = encode(FULL)
    rejected = 0
    for _ in range(5000):
        damaged = bytearray(raw)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        for candidate in (bytes(damaged), chance.randbytes(chance.randrange(200)), b"\x00\x53\x74" + damaged):
            try:
                decode(candidate)
            except Rejected:
                rejected += 1

    assert rejected > 5000
