"""The format of parked streams."""

import pytest

from labelstream.errors import Rejected
from labelstream.parked import (
    INGEST,
    REPLAYS_OFFSET,
    REPLAYS_STREAM,
    Marker,
    Parked,
    origin,
    read_parked,
    replay_of,
    replays,
    to_mark,
    to_park,
    without_addresses,
)
from labelstream.streams.amqp import decode, encode
from labelstream.streams.message import Delivery, Message
from labelstream.values import Position

IN = Position(stream="annotations", offset=41)


def parked(raw: bytes, reason: str = "a class", hint: str = "another class") -> Parked:
    message = to_park(Delivery(IN.stream, IN.offset, raw), Rejected("class.unknown", reason, hint))
    read = read_parked(Delivery(INGEST, 7, encode(message), 1234))
    assert isinstance(read, Parked)
    return read


def test_what_is_parked_is_read_as_it_came():
    assert parked(b"\xff whatever") == Parked(
        place=Position(stream=INGEST, offset=7),
        rule="class.unknown",
        reason="a class",
        hint="another class",
        input=IN,
        parked_ms=1234,
        raw=b"\xff whatever",
    )
    assert parked(b"").raw == b""
    assert parked(b"\x00").raw == b"\x00"


def test_a_long_reason_is_cut_and_an_address_in_it_is_not_kept():
    one = parked(b"x", reason="word " * 1000, hint="Ask me@example.org, not frame@2x.jpg.")
    assert len(one.reason) == 1500
    assert one.hint == "Ask (an address, not shown) not frame@2x.jpg."
    assert without_addresses("no address") == "no address"


@pytest.mark.parametrize("mark", ["replayed", "dropped"])
def test_a_marker_names_the_message_that_it_is_about(mark):
    message = to_mark(mark, IN)
    assert message.body == b"\x00"
    assert read_parked(Delivery(INGEST, 8, encode(message), 99)) == Marker(mark, IN, 99)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"noise",
        encode(Message(body=b"x")),
        encode(Message(body=b"x", subject="annotation.parked")),
        encode(Message(body=b"x", subject="annotation.parked", properties={"input_stream": "a", "input_offset": "1"})),
        encode(Message(body=b"x", subject="annotation.dropped", properties={"input_stream": 1, "input_offset": 1})),
        encode(Message(body=b"x", subject="annotation.other", properties={"input_stream": "a", "input_offset": 1})),
    ],
    ids=["empty", "noise", "no subject", "no place", "offset as text", "stream as number", "another subject"],
)
def test_what_is_neither_parked_nor_a_marker_is_nothing(raw):
    assert read_parked(Delivery(INGEST, 0, raw)) is None


def test_a_replay_is_the_message_as_it_was_with_its_place_added():
    message = Message(
        body=b"body", message_id="m-1", correlation_id="c", subject="s", content_type="t", created_ms=5,
        properties={"AnnotationStatus": 10, "AnnotationStatus2": "x"},
    )  # fmt: skip
    again = replay_of(parked(encode(message)))
    assert again == Message(**{**vars(message), "properties": {**message.properties, **again_at(41)}})
    assert decode(encode(again)) == again
    assert replays(again) == IN
    assert replays(message) is None


def test_a_replay_of_a_replay_names_the_place_where_the_message_came_in_first():
    before = Message(body=b"body", properties=again_at(3))
    assert replays(replay_of(parked(encode(before)))) == Position(stream="annotations", offset=3)
    foreign = Message(body=b"body", properties={**again_at(3), REPLAYS_STREAM: "other"})
    assert origin(IN, foreign) == IN


def test_bytes_that_are_no_message_can_not_be_replayed():
    with pytest.raises(Rejected, match=r"not an AMQP 1\.0 message"):
        replay_of(parked(b"noise"))
    with pytest.raises(Rejected, match="the message is empty"):
        replay_of(parked(b""))


def again_at(offset):
    return {REPLAYS_STREAM: "annotations", REPLAYS_OFFSET: offset}
