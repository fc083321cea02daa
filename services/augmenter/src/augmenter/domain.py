"""What the augmenter works on: samples, and the batches that they come in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from labelstream.events.annotation import ImageRef
from labelstream.labels import Shape
from labelstream.values import digest_of


@dataclass(frozen=True)
class Sample:
    """The content of one annotation that was validated at an offset of `annotation-events`."""

    name: str
    offset: int
    image: ImageRef
    labels: str  # digest of the shapes
    shapes: tuple[Shape, ...]

    @property
    def content(self) -> tuple[str, str]:
        """What the sample is told apart by: the digests of image and labels."""
        return self.image.sha256, self.labels


@dataclass(frozen=True)
class Limits:
    """When a batch is full."""

    count: int = 64  # samples
    size_bytes: int = 32 << 20  # of original images; the archive has about eight times as much
    age_s: float = 10.0  # since the batch's first event was read


@dataclass(frozen=True)
class Batch:
    """Every sample validated in a closed range of `annotation-events`; mostly few, sometimes none."""

    project: str
    stream: str
    first: int
    last: int
    samples: tuple[Sample, ...] = ()
    erased_samples: tuple[Sample, ...] = ()  # validated in the range, and erased by now
    erased_images: tuple[str, ...] = ()  # digests: what the event at `last` erased


def chunks(samples: Sequence[Sample], limits: Limits) -> Iterator[tuple[Sample, ...]]:
    """Deal samples to archives: one event may validate more than an archive should hold."""
    chunk: list[Sample] = []
    size = 0
    for sample in samples:
        if chunk and (len(chunk) >= limits.count or size + sample.image.size_bytes > limits.size_bytes):
            yield tuple(chunk)
            chunk, size = [], 0
        chunk.append(sample)
        size += sample.image.size_bytes
    if chunk:
        yield tuple(chunk)


def archive_digest(samples: Iterable[Sample], recipe: str) -> str:
    """Name an archive by what goes into it."""
    return digest_of([recipe, [list(sample.content) for sample in samples]])
