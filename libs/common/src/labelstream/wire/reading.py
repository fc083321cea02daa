"""Reads whatever a producer put on an input stream."""

from __future__ import annotations

from labelstream.errors import Rejected
from labelstream.events.envelope import ALSO_ACCEPTED, PREFIX
from labelstream.streams.message import Message
from labelstream.wire import azaion, native
from labelstream.wire.submission import Submission, shown


def read_submission(message: Message) -> Submission:
    """Read a message of either wire. Raises Rejected with a rule, the reason and a hint."""
    status = azaion.kind_of(message)
    if status is not None:
        return azaion.read(message, status)
    properties = message.properties
    said = properties.get(f"{PREFIX}type") or properties.get(f"{ALSO_ACCEPTED}type") or message.subject
    kind = native.KINDS.get(str(said))
    if kind is not None:
        return native.read(message, kind)
    if not message.body:
        raise Rejected("message.undecodable", "the message is empty", "Send a MessagePack body.")
    raise Rejected(
        "message.unknown_type",
        f"the message says the type {shown(said)}" if said else "the message says no type",
        f"Set the CloudEvents type (or the subject) to one of {', '.join(native.KINDS)}, "
        f"or the application property {azaion.STATUS_PROPERTY}.",
    )
