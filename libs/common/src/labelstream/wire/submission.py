"""The one internal form of what producers say."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Literal

from labelstream.classes import ClassSchema
from labelstream.events.annotation import Asked
from labelstream.streams.message import Message
from labelstream.values import Position, Split, digest_of, sha256_hex
from labelstream.wire.personal import is_personal

Kind = Asked
Wire = Literal["native", "azaion", "unknown"]

_SHOWN = 80  # characters of a producer's value that a reason repeats


@dataclass(frozen=True)
class RawBox:
    """A box as it was sent: nothing about it is checked yet."""

    cls: int | str  # a class id, or a class name
    x: float
    y: float
    w: float
    h: float
    confidence: float | None = None


@dataclass(frozen=True)
class ImageReference:
    """An image that lies in the incoming bucket, under a key that begins with its input stream's own prefix."""

    key: str
    sha256: str  # of the file, in hexadecimal


@dataclass(frozen=True)
class Submission:
    """What one message asks for."""

    kind: Kind
    wire: Wire
    names: tuple[str, ...]  # none for a schema change, and for the erasure of a medium
    message_key: str  # two deliveries of one message share it
    image: bytes | ImageReference | None = None
    medium: str | None = None
    split: Split | None = None
    boxes: tuple[RawBox, ...] = ()
    validated: bool = False  # whether the content is to count as validated, as far as the sender's role goes
    source: Literal["manual", "ai"] = "manual"
    tags: tuple[str, ...] = ()
    class_schema: ClassSchema | None = None  # of a schema change
    replays: Position | None = None  # the refused message that this one brings again
    producer: str | None = None  # may be an e-mail address: only its keyed hash is ever kept
    message_id: str | None = None
    anonymous: bool = False  # nothing (id, date) tells a second delivery from a second request with the same words


def message_key(wire: Wire, kind: Kind, message: Message, *, dated: bool = False) -> str:
    """Return the digest that two deliveries of `message` share.

    A body that carries its own date identifies itself (an outbox may give it a new message id on
    each attempt); otherwise the message's id and time count too.
    """
    attempt = [] if dated else [message.message_id, message.created_ms]
    return digest_of([wire, kind, *attempt, sha256_hex(message.body)])


def producer_hash(identity: str | None, key: bytes) -> str | None:
    """Return the keyed hash under which a producer is known; None for nobody."""
    if not identity or not identity.strip():
        return None
    return hmac.new(key, identity.strip().casefold().encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def shown(value: object) -> str:
    """Return a producer's value for a reason: short, printable, and never something like an e-mail address."""
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, (list, dict)):
        return f"a {'list' if isinstance(value, list) else 'map'} of {len(value)}"
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    if not isinstance(value, (str, int, float)):
        return "a time or a value of another kind"
    text = repr(value)
    if "@" in text or is_personal(text):
        return "a text with an @ in it (not shown)"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
