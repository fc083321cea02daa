"""A parked stream: the bytes of messages that a service refused, and what a person did about them since.

    annotation.parked     the message's bytes; properties: rule, reason, hint, input_stream, input_offset, empty
    annotation.replayed   published again; properties: input_stream, input_offset of the parked message
    annotation.dropped    to be shown no more; the same properties

A stream's messages can't be changed or removed, so what was done stands behind them as a marker.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from labelstream.errors import Rejected
from labelstream.streams.amqp import decode
from labelstream.streams.message import Delivery, Message, PropertyValue
from labelstream.values import Position
from labelstream.wire.personal import is_personal

INGEST: Final = "parked.annotation-ingest"

PARKED = "annotation.parked"
MARKS: Mapping[str, Mark] = {"annotation.replayed": "replayed", "annotation.dropped": "dropped"}
NOTHING = b"\x00"  # stands for a message of no bytes, which a stream can't hold

REPLAYS_STREAM = "labelstream_replays_stream"
REPLAYS_OFFSET = "labelstream_replays_offset"

Mark = Literal["replayed", "dropped"]

_MOST_TEXT = 1500  # characters of a reason and of a hint: the message must stay within a frame of the broker


@dataclass(frozen=True)
class Parked:
    """A refused message."""

    place: Position  # in the parked stream
    rule: str
    reason: str
    hint: str | None  # None for what was parked before hints were
    input: Position  # where the message came in
    parked_ms: int
    raw: bytes  # as they came, whatever they are

    @property
    def size_bytes(self) -> int:
        """How large the message is."""
        return len(self.raw)


@dataclass(frozen=True)
class Marker:
    """What was done about a parked message."""

    mark: Mark
    input: Position  # of the parked message
    marked_ms: int


def to_park(delivery: Delivery, error: Rejected) -> Message:
    """Return what keeps a refused message. The bytes may hold anything; reason and hint hold no e-mail address."""
    return Message(
        body=delivery.raw or NOTHING,
        subject=PARKED,
        properties={
            "rule": error.rule,
            "reason": without_addresses(error.reason)[:_MOST_TEXT],
            "hint": without_addresses(error.hint)[:_MOST_TEXT],
            "input_stream": delivery.stream,
            "input_offset": delivery.offset,
            "empty": not delivery.raw,
        },
    )


def to_mark(mark: Mark, parked_input: Position) -> Message:
    """Return the marker that stands behind a parked message from now on."""
    subject = next(subject for subject, known in MARKS.items() if known == mark)
    place: dict[str, PropertyValue] = {"input_stream": parked_input.stream, "input_offset": parked_input.offset}
    return Message(body=NOTHING, subject=subject, properties=place)


def read_parked(delivery: Delivery) -> Parked | Marker | None:
    """Read a message of a parked stream; None for what is neither, which anybody may have put there."""
    try:
        message = decode(delivery.raw)
    except Rejected:
        return None
    there = _position(message.properties, "input_stream", "input_offset")
    if there is None:
        return None
    mark = MARKS.get(message.subject or "")
    if mark is not None:
        return Marker(mark, there, delivery.timestamp_ms)
    if message.subject != PARKED:
        return None
    hint = message.properties.get("hint")
    return Parked(
        place=Position(stream=delivery.stream, offset=delivery.offset),
        rule=str(message.properties.get("rule", "")),
        reason=str(message.properties.get("reason", "")),
        hint=None if hint is None else str(hint),
        input=there,
        parked_ms=delivery.timestamp_ms,
        raw=b"" if message.properties.get("empty") else message.body,
    )


def replay_of(parked: Parked) -> Message:
    """Return the message to publish again. Raises Rejected when the bytes are no AMQP 1.0 message."""
    message = decode(parked.raw)
    first = origin(parked.input, message)
    return replace(
        message, properties={**message.properties, REPLAYS_STREAM: first.stream, REPLAYS_OFFSET: first.offset}
    )


def replays(message: Message) -> Position | None:
    """Return where the message that `message` brings again was first refused; None when it is no replay."""
    return _position(message.properties, REPLAYS_STREAM, REPLAYS_OFFSET)


def origin(came_in: Position, message: Message) -> Position:
    """Return where `message`, which came in at a place, came in first: a replay may be refused and replayed too."""
    first = replays(message)
    return first if first is not None and first.stream == came_in.stream else came_in


def without_addresses(text: str) -> str:
    """Return `text` with every word that holds an e-mail address taken out."""
    return re.sub(r"\S+", lambda word: "(an address, not shown)" if is_personal(word[0]) else word[0], text)


def _position(properties: Mapping[str, Any], stream: str, offset: str) -> Position | None:
    """Return the place that two properties name, as far as they do."""
    named, at = properties.get(stream), properties.get(offset)
    if not isinstance(named, str) or not isinstance(at, int) or isinstance(at, bool) or at < 0:
        return None
    return Position(stream=named, offset=at)
