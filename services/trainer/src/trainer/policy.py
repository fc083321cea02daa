"""When a training is due: after so many newly validated annotations, or when somebody asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from labelstream.jobs.ports import Taken


@dataclass(frozen=True)
class Cut:
    """Train on what `annotation-events` said up to this offset, inclusive."""

    project: str
    offset: int
    cause: Literal["policy", "request"]
    request: Taken | None = None  # to be acknowledged once the decision stands in the stream


def due(validated: Sequence[int], min_new: int, readable: int) -> int | None:
    """Return the cut that the policy asks for, or None.

    `validated` are the offsets at which annotations were validated since the last cut. The cut is the
    offset that completed a full `min_new`, not what happened to be read by then: so it is the same after
    a crash. When several are complete up to the offset `readable`, the last one serves for all.
    """
    if min_new == 0:
        return None
    complete = [validated[i] for i in range(min_new - 1, len(validated), min_new)]
    return max((offset for offset in complete if offset <= readable), default=None)
