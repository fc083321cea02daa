"""What the augmenter works on: samples, and the batches that they come in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from labelstream.events.annotation import ImageRef
from labelstream.labels import Shape
from labelstream.values import digest_of
from labelstream_datasets.archives.erased import Erasure

Mode = tuple[int, str, int]  # a class id, a weather mode, and the id of that class in the mode


@dataclass(frozen=True)
class Sample:
    """The content of one annotation that was validated at an offset of `annotation-events`."""

    name: str
    offset: int
    image: ImageRef
    labels: str  # digest of the shapes
    shapes: tuple[Shape, ...]
    modes: tuple[Mode, ...] = ()  # of its own classes, when the recipe follows modes

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

    def reached(self, count: int, size_bytes: int) -> bool:
        """Say whether so many samples, with so many bytes of images, are enough."""
        return count >= self.count or size_bytes >= self.size_bytes


@dataclass(frozen=True)
class Batch:
    """Every sample validated in a closed range of `annotation-events`; mostly few, sometimes none."""

    project: str
    stream: str
    first: int
    last: int
    samples: tuple[Sample, ...] = ()
    erased_samples: tuple[Sample, ...] = ()  # validated in the range, and erased by now
    erasure: Erasure = field(default_factory=Erasure)  # by the event at `last`
    traces: tuple[str, ...] = field(default=(), compare=False)  # of what it answers, the newest first


def chunks(samples: Sequence[Sample], limits: Limits) -> Iterator[tuple[Sample, ...]]:
    """Deal samples to archives: one event may validate more than an archive should hold."""
    chunk: list[Sample] = []
    size = 0
    for sample in samples:
        chunk.append(sample)
        size += sample.image.size_bytes
        if limits.reached(len(chunk), size):
            yield tuple(chunk)
            chunk, size = [], 0
    if chunk:
        yield tuple(chunk)


def archive_digest(samples: Iterable[Sample], recipe: str) -> str:
    """Name an archive by what goes into it."""
    return digest_of([recipe, [_named(sample) for sample in samples]])


def _named(sample: Sample) -> list[object]:
    modes = [list(mode) for mode in sample.modes]
    return [*sample.content, modes] if modes else [*sample.content]


def modes_of(shapes: Iterable[Shape], known: Mapping[tuple[int, str], int]) -> tuple[Mode, ...]:
    """Return the modes of the classes that these shapes have, in order."""
    ids = {shape.class_id for shape in shapes}
    return tuple(sorted((plain, mode, to) for (plain, mode), to in known.items() if plain in ids))
