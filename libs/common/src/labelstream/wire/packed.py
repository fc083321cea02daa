"""MessagePack as strangers send it."""

from __future__ import annotations

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
        raise Rejected(
            "message.undecodable",
            f"the body ({len(body)} bytes) is not MessagePack: {type(error).__name__}",
            "Send one MessagePack value, whole and without anything behind it.",
        ) from error
