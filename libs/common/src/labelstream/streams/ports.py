"""What the services need of a stream broker. `rabbitmq` is the real one, `memory` its double."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from labelstream.streams.message import Delivery, Message

Start = int | Literal["first", "next"]


@dataclass(frozen=True)
class Retention:
    """How much of a stream the broker keeps; None keeps everything."""

    max_bytes: int | None = None
    max_age_s: int | None = None


class Reader(Protocol):
    """One stream, read in order from an offset. Outlives the loss of the broker: it waits and goes on."""

    @property
    def attached(self) -> int:
        """How often it was attached to the stream; each time that may be another stream of the same name."""
        ...

    async def read(self, at_most: int = 100, wait_s: float = 1.0) -> list[Delivery]:
        """Return the next messages; an empty list when none came within `wait_s` seconds.

        Every message of the stream from the start offset on is returned exactly once, in order,
        whatever happens to connections in between. Padding (see `padding`) is no message.
        """
        ...

    async def close(self) -> None:
        """Stop reading."""
        ...


class Publisher(Protocol):
    """The one writer of a publisher name on a stream."""

    name: str

    async def publish(self, messages: Sequence[tuple[int, Message]]) -> None:
        """Store messages under strictly rising publishing ids; return when the broker confirmed all.

        A publishing id at or below the last stored one is confirmed and dropped by the broker
        (that is the deduplication). Waits while the broker is away, and sends the same ids again.
        Raises ValueError for an empty body or ids that do not rise, before anything is sent.
        """
        ...

    async def close(self) -> None:
        """Release the connection."""
        ...


class Broker(Protocol):
    """Where streams live."""

    async def ensure_stream(self, stream: str, retention: Retention | None = Retention()) -> None:
        """Create the stream when it is missing.

        One that exists must have this retention, or any when `retention` is None. Raises Unavailable, Misconfigured.
        """
        ...

    def reader(self, stream: str, start: Start) -> Reader:
        """Read `stream` from an offset (inclusive), from its `first` message, or from the `next` to come."""
        ...

    def publisher(self, stream: str, name: str) -> Publisher:
        """Write `stream` under the publisher name `name`."""
        ...

    async def last_publishing_id(self, stream: str, publisher: str) -> int:
        """Return the highest publishing id stored for `publisher`; 0 when there is none. Raises Unavailable."""
        ...

    async def first_offset(self, stream: str) -> int | None:
        """Return where the stream begins, None when it is empty: at 0, or behind what retention removed.

        That may be an offset just before the first message. Raises Unavailable.
        """
        ...

    async def last_offset(self, stream: str) -> int | None:
        """Return the offset of the last message, or None when the stream is empty. Raises Unavailable."""
        ...

    async def close(self) -> None:
        """Release all connections."""
        ...
