"""What the view answers with."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from labelstream.events.annotation import Annotation


@dataclass(frozen=True)
class Entry:
    """One annotation as it stood at an offset of `annotation-events`."""

    name: str
    revision: int  # from 1
    offset: int  # of the event that brought this state
    validated: bool
    deleted: bool
    annotation: Annotation


class Held(IntEnum):
    """What waits for an annotation that is not there yet."""

    VALIDATION = 1
    DELETION = 2


@dataclass(frozen=True)
class Counts:
    """How much a project has."""

    annotations: int  # live ones
    validated: int
    deleted: int
    images: int
    media: int
