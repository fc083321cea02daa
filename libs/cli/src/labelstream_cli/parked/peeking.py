"""What can be told of a refused message's body, whatever is wrong with it: its names, its fields, its image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labelstream.errors import Rejected
from labelstream.parked import without_addresses
from labelstream.streams.amqp import decode
from labelstream.streams.message import Message
from labelstream.wire.packed import unpack

MOST_NAMES = 5  # of one message that are told
_MOST_ITEMS = 50
_MOST_TEXT = 2000
_AZAION_NAME, _AZAION_NAMES, _AZAION_IMAGE = 1, 0, 6  # as `labelstream.wire.azaion` numbers them

_MAGIC = {
    b"\xff\xd8\xff": "jpeg",
    b"\x89PNG": "png",
    b"RIFF": "webp",
    b"II*\x00": "tiff",
    b"MM\x00*": "tiff",
    b"BM": "bmp",
}


@dataclass(frozen=True)
class Peeked:
    """A message as far as it can be read; `problem` says why it can't be read further."""

    message: Message | None = None
    body: Any = None
    problem: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The first names that the message is about; one that looks like an e-mail address is not told."""
        return tuple(without_addresses(name) for name in _names(self.body)[:MOST_NAMES])

    @property
    def more_names(self) -> int:
        """How many names there are beyond `names`."""
        return max(0, len(_names(self.body)) - MOST_NAMES)

    @property
    def image(self) -> bytes | None:
        """The image file that the message brings, whatever it is worth."""
        found = _field(self.body, "image", _AZAION_IMAGE)
        return found if isinstance(found, bytes) and found else None

    @property
    def told(self) -> Any:
        """The body in plain values: no pixels, no e-mail address."""
        return plain(self.body)


def peek(raw: bytes) -> Peeked:
    """Read a message's bytes as far as they can be read."""
    try:
        message = decode(raw)
    except Rejected as error:
        return Peeked(problem=error.reason)
    try:
        return Peeked(message, unpack(message.body))
    except Rejected as error:
        return Peeked(message, problem=error.reason)


def plain(value: Any) -> Any:
    """Return a value for a terminal or JSON: short, no bytes, no e-mail address."""
    if isinstance(value, bytes):
        return f"{_kind(value)}, {len(value)} bytes"
    if isinstance(value, str):
        return without_addresses(value if len(value) <= _MOST_TEXT else f"{value[:_MOST_TEXT]}…")
    if isinstance(value, Mapping):
        kept = {str(plain(key)): plain(item) for key, item in list(value.items())[:_MOST_ITEMS]}
        return kept | _rest(len(value))
    if isinstance(value, Sequence):
        return [plain(item) for item in value[:_MOST_ITEMS]] + [f"… and {n} more" for n in _rest(len(value)).values()]
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _rest(length: int) -> dict[str, int]:
    return {"… more": length - _MOST_ITEMS} if length > _MOST_ITEMS else {}


def _kind(data: bytes) -> str:
    return next((kind for magic, kind in _MAGIC.items() if data.startswith(magic)), "binary")


def _names(body: Any) -> list[str]:
    many = _field(body, "names", _AZAION_NAMES)
    if isinstance(many, list):
        return [name for name in many if isinstance(name, str)]
    one = _field(body, "name", _AZAION_NAME)
    return [one] if isinstance(one, str) else []


def _field(body: Any, key: str, number: int) -> Any:
    """Return a field of either wire: a map with text or whole numbers as keys, or an array."""
    if isinstance(body, dict):
        return body.get(key, body.get(number))
    return body[number] if isinstance(body, list) and number < len(body) else None
