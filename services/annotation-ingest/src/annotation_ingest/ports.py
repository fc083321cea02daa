"""What the handler needs besides streams and blobs; `adapters` has the real ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from annotation_ingest.images.imaging import Picture
from labelstream.errors import Rejected
from labelstream.streams.message import Delivery
from labelstream.values import Position


class ImageDecoder(Protocol):
    """Looks at image files without being brought down by one."""

    async def decode(self, data: bytes) -> Picture:
        """Return what the image is. Raises Rejected."""
        ...


class ParkingLot(Protocol):
    """Keeps what was refused, for a while."""

    async def park(self, publisher: str, refused: Sequence[tuple[Delivery, Rejected]]) -> dict[int, Position]:
        """Keep the messages; return where each is kept, by input offset. The same message again is kept once."""
        ...
