"""The note that `labelstream gc` leaves in the place of an archive: `keys.collected(archive)`."""

from __future__ import annotations

from pydantic import Field

from labelstream.values import Value


class Collected(Value):
    """An archive that was removed because nothing that is kept refers to it.

    Written before the archive goes; where the archive is there nevertheless, it counts and the note does not.
    """

    archive: str = Field(description="its key")
    recipe: str | None = Field(description="digest of its recipe; null when no event named the archive")
    reason: str
    collected_ms: int = Field(description="by the store's clock")
    size_bytes: int
