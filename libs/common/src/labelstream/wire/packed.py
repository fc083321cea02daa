"""MessagePack as strangers send it."""

from __future__ import annotations

import codecs
from typing import Any

import msgpack

from labelstream.errors import Rejected


def unpack(body: bytes) -> Any:
    """Unpack a message's body; timestamps come as `msgpack.Timestamp`. Raises Rejected(message.undecodable)."""
    if not body:
        raise Rejected("message.undecodable", "the body is empty", "Send a MessagePack body.")
    try:
        return msgpack.unpackb(body, strict_map_key=False)
    # The unpacker raises all of these on bytes that are not MessagePack, or that nest too deep.
    except (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException) as error:
        if _looks_like_json(body):
            reason = f"the body ({len(body)} bytes) is not MessagePack: this looks like JSON"
            raise Rejected("message.undecodable", reason, "Send the same fields packed as MessagePack.") from error
        raise Rejected(
            "message.undecodable",
            f"the body ({len(body)} bytes) is not MessagePack: {_fault(error)}",
            "Send one MessagePack value, whole and without anything behind it.",
        ) from error


def _looks_like_json(body: bytes) -> bool:
    text = body.removeprefix(codecs.BOM_UTF8).strip()
    return (text[:1], text[-1:]) in {(b"{", b"}"), (b"[", b"]")}


def _fault(error: Exception) -> str:
    match error:
        case msgpack.ExtraData():
            return "something stands behind its first value"
        case msgpack.StackError() | RecursionError():
            return "it nests too deep"
        case UnicodeDecodeError():
            return "a text in it is not UTF-8"
        case TypeError():
            return "a map in it has a key that is a list or a map"
        case _:
            return "it is cut short or damaged"
