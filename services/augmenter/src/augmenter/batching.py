"""Groups the events of one project into batches that cover every offset; an erasure ends its batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping

from augmenter.domain import Batch, Limits, Sample, modes_of
from labelstream.events.annotation import Annotation, AnnotationErased, AnnotationSettled
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.service.tracing import MOST_LINKS
from labelstream_datasets.archives.erased import Erasure

ContentAt = Callable[[str, int], Annotation | None]  # of the annotation (name) as of (offset); None: erased since
ModesAt = Callable[[int], Mapping[tuple[int, str], int]]  # (class id, mode) → class id, as of (offset)
LabelsOf = Callable[[str], Collection[str]]  # digests of all labels that annotations say of (image)
STATES = {"recorded", "edited", "validated"}  # the outcomes that can leave an annotation validated


class Batching:
    """Collects what was validated, until the batch is full or old."""

    def __init__(
        self,
        project: str,
        first: int,
        limits: Limits,
        content_at: ContentAt,
        done: Callable[[tuple[str, str]], bool],
        modes_at: ModesAt = lambda _: {},
        labels_of: LabelsOf = lambda _: (),
    ) -> None:
        """Begin at offset `first`; content (image digest, labels digest) that is `done` already is passed over."""
        self._labels_of = labels_of
        self._project = project
        self._limits = limits
        self._content_at = content_at
        self._done = done
        self._modes_at = modes_at
        self._begin(first)

    def _begin(self, first: int) -> None:
        self._first = first
        self._last = first - 1
        self._samples: dict[tuple[str, str], Sample] = {}
        self._erased_samples: list[Sample] = []
        self._erasure = Erasure()
        self._size_bytes = 0
        self._since: float | None = None  # when the batch's first event came
        self._traces: deque[str] = deque(maxlen=MOST_LINKS + 1)

    @property
    def first(self) -> int:
        """The first offset that the batch answers."""
        return self._first

    def __len__(self) -> int:
        """Return how many samples wait for the batch to close."""
        return len(self._samples)

    def validated(self, offset: int, envelope: Envelope | None) -> list[Sample]:
        """Return what an event validates, whether or not it was augmented already; changes nothing."""
        return [sample for sample, _ in self._validated(offset, envelope)]

    def add(self, offset: int, envelope: Envelope | None, now: float) -> None:
        """Take the next event of the stream, of whatever project and type, at the time `now` (seconds)."""
        if self._since is None:
            self._since = now
        self._last = offset
        validated = list(self._validated(offset, envelope))
        if envelope is not None and validated:
            self._traces.appendleft(envelope.traceparent)
        for sample, erased in validated:
            if erased:
                self._erased_samples.append(sample)
            elif sample.content not in self._samples and not self._done(sample.content):
                self._samples[sample.content] = sample
                self._size_bytes += sample.image.size_bytes
        if envelope is not None and envelope.project == self._project and isinstance(envelope.event, AnnotationErased):
            self._erase(envelope.event)

    def _validated(self, offset: int, envelope: Envelope | None) -> Iterator[tuple[Sample, bool]]:
        """Give each content that the event validates, and whether it was erased since."""
        if envelope is None or envelope.project != self._project or not isinstance(envelope.event, AnnotationSettled):
            return
        for outcome in envelope.event.outcomes:
            if outcome.outcome not in STATES or not outcome.validated or outcome.name is None:
                continue
            known = self._content_at(outcome.name, offset)
            content = outcome.annotation or known
            if content is not None:  # else a validation of what was erased since; of its content nothing is left
                modes = modes_of(content.shapes, self._modes_at(offset))
                sample = Sample(outcome.name, offset, content.image, content.labels, content.shapes, modes)
                yield sample, known is None

    def _erase(self, event: AnnotationErased) -> None:
        stayed = {image: frozenset(self._labels_of(image)) for image in event.kept_images}
        self._erasure = Erasure(frozenset(event.images), stayed)
        gone = [sample for sample in self._samples.values() if self._erasure.takes(*sample.content)]
        for sample in gone:
            del self._samples[sample.content]
        self._erased_samples += gone

    @property
    def is_full(self) -> bool:
        """Whether the batch has enough samples or bytes, or ends with an erasure."""
        return bool(self._erasure) or self._has_enough

    @property
    def _has_enough(self) -> bool:
        return self._limits.reached(len(self._samples), self._size_bytes)

    def closes_in_s(self, now: float) -> float | None:
        """Return the seconds until the batch is old (0: it is); None while no event has come."""
        return None if self._since is None else max(0.0, self._since + self._limits.age_s - now)

    def close(self) -> Batch:
        """Return the batch and begin the next one behind it."""
        batch = Batch(
            project=self._project,
            stream=ANNOTATION_EVENTS,
            first=self._first,
            last=self._last,
            samples=tuple(self._samples.values()),
            erased_samples=tuple(self._erased_samples),
            erasure=self._erasure,
            traces=tuple(self._traces),
        )
        self._begin(self._last + 1)
        return batch
