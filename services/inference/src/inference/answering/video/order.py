"""What the decoder's process is told; both sides of it read this file, so it imports next to nothing."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Order:
    """A video, what is wanted of it, and what is the most."""

    video: int  # descriptor of the file
    memory: int  # descriptor of the slots that frames are written into
    slots: int
    slot_bytes: int
    every: int
    from_s: float
    to_s: float | None
    max_frames: int | None
    most_seconds: float
    most_frames: int
    most_pixels: int

    def to_json(self) -> str:
        """Return it as an argument of a command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Order:
        """Read it."""
        return cls(**json.loads(text))
