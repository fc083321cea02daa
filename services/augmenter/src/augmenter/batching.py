"""Groups the events of one project into batches that cover every offset."""

from __future__ import annotations

from collections.abc import Callable

from augmenter.domain import Batch, Limits, Sample
from labelstream.events.annotation import Annotation, AnnotationSettled, Outcome
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.events.envelope import Envelope

ContentAt = Callable[[str, int], Annotation | None]  # the content of the annotation (name) as of (offset)
STATES = {"recorded", "edited", "validated"}  # the outcomes that can leave an annotation validated


class Batching:
    """Collects what was validated, until the batch is full or old."""

    def __init__(
        self, project: str, first: int, limits: Limits, content_at: ContentAt, done: Callable[[tuple[str, str]], bool]
    ) -> None:
        """Begin at offset `first`; content (image digest, labels digest) that is `done` already is passed over."""
        self._project = project
        self._limits = limits
        self._content_at = content_at
        self._done = done
        self._begin(first)

    def _begin(self, first: int) -> None:
        self._first = first
        self._last = first - 1
        self._samples: dict[tuple[str, str], Sample] = {}
        self._size_bytes = 0
        self._since: float | None = None  # when the batch's first event came

    @property
    def first(self) -> int:
        """The first offset that the batch answers."""
        return self._first

    def add(self, offset: int, envelope: Envelope | None, now: float) -> None:
        """Take the next event of the stream, of whatever project and type, at the time `now` (seconds)."""
        if self._since is None:
            self._since = now
        self._last = offset
        if envelope is None or envelope.project != self._project:
            return
        if isinstance(envelope.event, AnnotationSettled):
            for outcome in envelope.event.outcomes:
                self._take(offset, outcome)

    def _take(self, offset: int, outcome: Outcome) -> None:
        if outcome.outcome not in STATES or not outcome.validated or outcome.name is None:
            return
        content = outcome.annotation or self._content_at(outcome.name, offset)
        if content is None:
            raise RuntimeError(
                f"{ANNOTATION_EVENTS} offset {offset} validates {outcome.name!r}, which was never recorded"
            )
        sample = Sample(outcome.name, offset, content.image, content.labels, content.shapes)
        if sample.content in self._samples or self._done(sample.content):
            return
        self._samples[sample.content] = sample
        self._size_bytes += sample.image.size_bytes

    @property
    def is_full(self) -> bool:
        """Whether the batch has enough samples or bytes."""
        return len(self._samples) >= self._limits.count or self._size_bytes >= self._limits.size_bytes

    def closes_in_s(self, now: float) -> float | None:
        """Return the seconds until the batch is old (0: it is); None while no event has come."""
        return None if self._since is None else max(0.0, self._since + self._limits.age_s - now)

    def close(self) -> Batch:
        """Return the batch and begin the next one behind it."""
        batch = Batch(self._project, ANNOTATION_EVENTS, self._first, self._last, tuple(self._samples.values()))
        self._begin(self._last + 1)
        return batch
