"""Messages to AMQP 1.0 bytes and back. Foreign bytes are checked before anything trusts a length in them."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from typing import Any

from rstream import AMQPMessage, Properties, amqp_decoder

from labelstream.errors import Rejected
from labelstream.streams.message import Message, PropertyValue

PROPERTIES, APPLICATION_PROPERTIES, DATA = 0x73, 0x74, 0x75  # the sections that we read
# How many bytes follow a constructor, by its upper half; the other kinds carry their size.
FIXED_WIDTH = {0x4: 0, 0x5: 1, 0x6: 2, 0x7: 4, 0x8: 8, 0x9: 16}
BINARY, COMPOUND = (0xA, 0xB), (0xC, 0xD)  # with a size of 1 byte, of 4 bytes; above them are arrays
# Constructors whose count of items may be far larger than the bytes behind it.
RISKY = re.compile(rb"[\xd0\xd1\xe0\xf0]")


def encode(message: Message) -> bytes:
    """Return the message as AMQP 1.0. Raises ValueError for an empty body, which no reader could decode."""
    if not message.body:
        raise ValueError("a message needs a body of at least one byte")
    return bytes(
        AMQPMessage(
            body=message.body,
            properties=Properties(
                message_id=message.message_id,
                correlation_id=message.correlation_id,
                subject=message.subject,
                content_type=message.content_type,
                creation_time=message.created_ms,
            ),
            application_properties=dict(message.properties) or None,
        )
    )


def encode_all(messages: Sequence[tuple[int, Message]]) -> list[tuple[int, bytes]]:
    """Encode messages and their publishing ids. Raises ValueError for ids that do not rise, and as `encode` does."""
    encoded: list[tuple[int, bytes]] = []
    last = 0
    for publishing_id, message in messages:
        if publishing_id <= last:
            raise ValueError(f"publishing ids must rise from 1: {publishing_id} comes after {last}")
        encoded.append((publishing_id, encode(message)))
        last = publishing_id
    return encoded


def decode(raw: bytes) -> Message:
    """Read AMQP 1.0 bytes. Raises Rejected (`message.undecodable`) for whatever is not a message with a body.

    Ids become text (a UUID in its usual form, bytes that are no UTF-8 in hex). An application
    property that is no UTF-8 stays bytes; one that is no simple value is left out.
    """
    try:
        sections = list(_sections(raw))
        properties = _decoded(raw, sections, PROPERTIES).properties or Properties()
        application_properties = _plain_properties(_decoded(raw, sections, APPLICATION_PROPERTIES))
    # What rstream raises for bytes that are no message: an unknown constructor, a wrong count, a wrong type.
    except (ValueError, TypeError, LookupError, struct.error, RecursionError) as error:
        raise _undecodable(f"these {len(raw)} bytes are not an AMQP 1.0 message ({error})") from error
    body = b"".join(_binary(raw, start, end) for code, start, end in sections if code == DATA)
    if not body:
        raise _undecodable("the message has no body" if raw else "the message is empty")
    return Message(
        body=body,
        message_id=_id(properties.message_id),
        correlation_id=_id(properties.correlation_id),
        subject=_text(properties.subject),
        content_type=_text(properties.content_type),
        created_ms=properties.creation_time if isinstance(properties.creation_time, int) else None,
        properties=application_properties,
    )


def _undecodable(reason: str) -> Rejected:
    return Rejected("message.undecodable", reason, "Send one AMQP 1.0 message with a data section that is not empty.")


def _sections(raw: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield each section's code and where its value starts and ends; ValueError when a length does not fit."""
    at = 0
    while at < len(raw):
        if raw[at : at + 2] != b"\x00\x53":
            raise ValueError(f"no section starts at byte {at}")
        code, start = raw[at + 2], at + 3
        at = _end(raw, start)
        if code == DATA and raw[start] >> 4 not in BINARY:
            raise ValueError("a data section is not binary")
        yield code, start, at


def _end(raw: bytes, at: int) -> int:
    """Return where the value at `at` ends; ValueError when it is cut short."""
    kind, at = raw[at] >> 4, at + 1
    if kind in FIXED_WIDTH:
        end = at + FIXED_WIDTH[kind]
    elif kind >= BINARY[0]:
        width = 4 if kind % 2 else 1
        end = at + width + int.from_bytes(raw[at : at + width], "big")
    else:
        raise ValueError(f"unknown constructor 0x{raw[at - 1]:02x}")
    if end > len(raw):
        raise ValueError("cut short")
    return end


def _decoded(raw: bytes, sections: list[tuple[int, int, int]], wanted: int) -> AMQPMessage:
    """Decode one kind of section alone, so that a wrong count in it can't reach into the next."""
    for code, start, end in sections:
        if code == wanted:
            _check_items(raw, start, end)
            return amqp_decoder(raw[start - 3 : end])
    return AMQPMessage()


def _check_items(raw: bytes, at: int, end: int) -> None:
    """Refuse a list or map with a count that it can't hold, in itself or in an item.

    The decoder allocates what a count says: a few bytes could claim all memory.
    """
    kind = raw[at] >> 4
    if kind in FIXED_WIDTH:
        return  # an empty list has its own constructor
    if kind not in COMPOUND:
        raise ValueError("neither a list nor a map")
    width = 4 if kind % 2 else 1
    first = at + 1 + 2 * width
    count = int.from_bytes(raw[at + 1 + width : first], "big")
    if count > end - at:
        raise ValueError("a count is larger than what holds it")
    if not RISKY.search(raw, first, end):
        return  # nothing inside can count high: no need to look at each item
    for _ in range(count):
        if raw[first] >> 4 not in FIXED_WIDTH and raw[first] >> 4 not in BINARY:
            raise ValueError("an item is no simple value")
        first = _end(raw, first)
    if first != end:
        raise ValueError("the items do not fill what holds them")


def _binary(raw: bytes, start: int, end: int) -> bytes:
    return raw[start + 2 : end] if raw[start] >> 4 == BINARY[0] else raw[start + 5 : end]


def _id(value: Any) -> str | None:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value.hex()
    return None if value is None else str(value)


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return None if value is None else str(value)


def _plain_properties(message: AMQPMessage) -> dict[str, PropertyValue]:
    values = message.application_properties
    if not isinstance(values, dict | None):
        raise TypeError("the application properties are no map")
    plain = ((str(_text(key)), _plain(value)) for key, value in (values or {}).items())
    return {key: value for key, value in plain if value is not None}


def _plain(value: Any) -> PropertyValue | None:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value
    if isinstance(value, (str, int, float)):
        return value
    return None if value is None or isinstance(value, (list, dict)) else str(value)
