"""Reads whatever a producer put on an input stream."""

from __future__ import annotations

from dataclasses import replace

from labelstream.errors import Rejected
from labelstream.events.envelope import ALSO_ACCEPTED, PREFIX
from labelstream.parked import replays
from labelstream.streams.message import Message
from labelstream.values import Position
from labelstream.wire import azaion, native
from labelstream.wire.bodies import KINDS
from labelstream.wire.checking import checked
from labelstream.wire.personal import is_personal
from labelstream.wire.submission import Submission, shown

_LONGEST_STREAM = 255  # bytes of a stream's name, as RabbitMQ has it


def read_submission(message: Message) -> Submission:
    """Read a message of either wire. Raises Rejected with a rule, the reason and a hint."""
    return replace(checked(_read(message)), replays=replayed_by(message))


def replayed_by(message: Message) -> Position | None:
    """Return the place of the refused message that `message` brings again, when it names one properly."""
    place = replays(message)
    if place is None or not 0 < len(place.stream.encode(errors="replace")) <= _LONGEST_STREAM:
        return None
    return None if is_personal(place.stream) else place


def _read(message: Message) -> Submission:
    status = azaion.kind_of(message)
    if status is not None:
        return azaion.read(message, status)
    properties = message.properties
    said = properties.get(f"{PREFIX}type") or properties.get(f"{ALSO_ACCEPTED}type") or message.subject
    kind = KINDS.get(str(said))
    if kind is not None:
        return native.read(message, kind)
    if not message.body:
        raise Rejected("message.undecodable", "the message is empty", "Send a MessagePack body.")
    raise Rejected(
        "message.unknown_type",
        f"the message says the type {shown(said)}" if said else "the message says no type",
        f"Set the CloudEvents type (or the subject) to one of {', '.join(KINDS)}, "
        f"or the application property {azaion.STATUS_PROPERTY}.",
    )
