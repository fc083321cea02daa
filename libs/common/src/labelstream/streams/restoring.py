"""What restoring a stream needs of a broker: to write each message where it stood.

The broker numbers messages itself. It adds records of its own, which take an offset each, where it remembers
something about the stream: the offset that a consumer stored, or the last id of a publisher. A stream that is written
without a publisher name has nothing to be remembered, so its messages stand one behind the other. The names of
publishers come last, and one message each is enough: the broker compares ids, not messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

MOST_SKIPPED = 65_535  # offsets that one frame can take


class StreamWriter(Protocol):
    """Writes one stream, which nobody else writes, without a name or under the names of others.

    Nothing is sent twice: when a call raises Unavailable, any number of its messages may be stored, and only the
    stream's end tells. Call `close` then, and go on behind that end. Each call raises Misconfigured when refused.
    """

    async def append(self, raws: Sequence[bytes]) -> None:
        """Store messages, whatever their bytes, without a publisher name."""
        ...

    async def skip(self, count: int, until: int) -> None:
        """Take `count` offsets (at most MOST_SKIPPED) that hold no message; the next message stands at `until`."""
        ...

    async def append_as(self, publisher: str, publishing_id: int, raw: bytes) -> None:
        """Store one message under a publisher's name and id, so that the broker remembers that id."""
        ...

    async def close(self) -> None:
        """Release the connection."""
        ...
