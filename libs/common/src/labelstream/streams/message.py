"""A message of a stream, as both ends see it."""

from __future__ import annotations

from dataclasses import dataclass, field

PropertyValue = str | int | float | bool | bytes


@dataclass(frozen=True)
class Message:
    """An AMQP 1.0 message, reduced to what Labelstream uses; text is text, never bytes."""

    body: bytes
    message_id: str | None = None
    correlation_id: str | None = None
    subject: str | None = None
    content_type: str | None = None
    created_ms: int | None = None
    properties: dict[str, PropertyValue] = field(default_factory=dict)  # AMQP application properties


@dataclass(frozen=True)
class Delivery:
    """A message as it was read: where it stood, and its undecoded bytes."""

    stream: str
    offset: int
    raw: bytes  # an encoded AMQP 1.0 message, or whatever a producer put there
    timestamp_ms: int = 0  # when the broker stored the chunk; 0 when unknown
