"""The traces of the batches that datasets are made of: a training goes on with the newest of them."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from itertools import islice

from labelstream.events.batch import BatchAugmented
from labelstream.events.envelope import Envelope
from labelstream.service.tracing import MOST_LINKS

_KEPT = 1000  # batches of a project; a training on an older cut begins a trace of its own


def _newest() -> deque[tuple[int, str]]:
    return deque(maxlen=_KEPT)


@dataclass
class Traces:
    """What `batch-events` said: where each batch began, and its trace context."""

    _of: dict[str, deque[tuple[int, str]]] = field(default_factory=lambda: defaultdict(_newest))

    def fold(self, _: int, envelope: Envelope) -> None:
        """Take an event of `batch-events` into account."""
        if isinstance(envelope.event, BatchAugmented) and envelope.event.members:
            self._of[envelope.project].appendleft((envelope.event.input.first, envelope.traceparent))

    def up_to(self, project: str, cut: int) -> tuple[str, ...]:
        """Return the trace contexts of the batches that a dataset with this cut may hold, the newest first."""
        found = (traceparent for first, traceparent in self._of[project] if first <= cut)
        return tuple(islice(found, MOST_LINKS + 1))
