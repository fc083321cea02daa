"""Reads a streamed answer line by line, as it comes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from labelstream.client.errors import NotUnderstood

MOST_BYTES = 64 << 20  # of one line: more detections than any image has


class Lines:
    """Cuts pieces of NDJSON into the objects that they hold."""

    def __init__(self) -> None:
        """Begin before the first line."""
        self._rest = bytearray()

    def feed(self, piece: bytes) -> Iterator[Mapping[str, Any]]:
        """Yield the objects that are whole by now. Raises NotUnderstood."""
        start = len(self._rest)
        self._rest += piece
        if b"\n" not in piece:
            if len(self._rest) > MOST_BYTES:
                raise NotUnderstood(f"a line of the answer has more than {MOST_BYTES} bytes")
            return
        end = self._rest.rindex(b"\n", start)
        whole, self._rest = bytes(self._rest[:end]), self._rest[end + 1 :]
        for line in whole.split(b"\n"):
            if line.strip():
                yield _object(line)

    @property
    def is_torn(self) -> bool:
        """Whether the answer ends inside a line."""
        return bool(self._rest.strip())


def _object(line: bytes) -> Mapping[str, Any]:
    try:
        said = json.loads(line)
    except ValueError as error:
        raise NotUnderstood(f"a line of the answer is no JSON: {line[:80]!r}") from error
    if not isinstance(said, dict):
        raise NotUnderstood(f"a line of the answer is no object: {line[:80]!r}")
    return said
