"""When a training is due: after so many newly validated annotations, or when somebody asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from labelstream.jobs.ports import Taken
from labelstream.values import FileRef


@dataclass(frozen=True)
class Cut:
    """Train on what `annotation-events` said up to this offset, inclusive; or on a dataset that is stored."""

    project: str
    offset: int
    cause: Literal["policy", "request"]
    request: Taken | None = None  # to be acknowledged once the decision stands in the stream
    dataset: FileRef | None = None  # the description of a stored dataset, which was built at some cut of its own


def due(validated: Sequence[int], min_new: int, readable: int) -> int | None:
    """Return the cut that the policy asks for, or None.

    `validated` are the offsets at which annotations were validated since the last cut. The cut is the
    offset that completed `min_new` of them, not what happened to be read by then: so the trainings of a
    stream are the same whenever the trainer was away.
    """
    if min_new == 0 or len(validated) < min_new:
        return None
    cut = validated[min_new - 1]
    return cut if cut <= readable else None
