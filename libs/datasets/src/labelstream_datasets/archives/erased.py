"""What was erased of a project, as its batch events tell it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from labelstream.events.batch import BatchAugmented
from labelstream_datasets.archives.names import Digits, digits_in


@dataclass(frozen=True)
class Erasure:
    """What an erasure takes out of archives: images, and labels of images that another annotation shows as well."""

    images: frozenset[str] = frozenset()
    stayed: Mapping[str, frozenset[str]] = field(default_factory=dict)  # such an image → what is said of it still

    def __bool__(self) -> bool:
        return bool(self.images or self.stayed)

    @classmethod
    def of(cls, event: BatchAugmented) -> Erasure:
        """Return what an event says to be erased."""
        stayed = {one.image: frozenset(one.labels) for one in event.stayed}
        return cls(frozenset(event.erased_images), stayed)

    def takes(self, image: str, labels: str) -> bool:
        """Say whether an image with its labels (their digests) is to go."""
        return image in self.images or (image in self.stayed and labels not in self.stayed[image])


@dataclass(frozen=True)
class ErasedFiles:
    """Which files show what was erased, told by their names (see `names`)."""

    last: int = -1  # the offset of the newest erasure; -1: there was none
    images: Mapping[str, int] = field(default_factory=dict)  # the digits of an image → the offset that erased it last
    stayed: Mapping[str, tuple[int, frozenset[str]]] = field(default_factory=dict)  # … → offset, labels that stay

    def takes(self, name: str, cut: int) -> bool:
        """Say whether a file of a dataset that was cut at `cut` was erased since; False for a name that is not ours."""
        digits = digits_in(name)
        if digits is None:
            return False
        at, stay = self.stayed.get(digits.image, (-1, frozenset[str]()))
        return cut < self.images.get(digits.image, -1) or (cut < at and digits.labels not in stay)


@dataclass
class ErasedContents:
    """Which images and labels were erased, and when; what was augmented later is there again."""

    last: int = -1  # the offset of the newest erasure; -1: there was none
    _images: dict[bytes, int] = field(default_factory=dict)  # image → the offset that erased it last
    _stayed: dict[bytes, tuple[int, frozenset[bytes]]] = field(default_factory=dict)  # image → offset, labels that stay

    def fold(self, event: BatchAugmented) -> None:
        """Take one event of the project into account."""
        at = event.input.last
        if event.erased_images or event.stayed:
            self.last = max(self.last, at)
        for image in map(bytes.fromhex, event.erased_images):
            self._images[image] = max(at, self._images.get(image, -1))
        for one in event.stayed:
            image, labels = bytes.fromhex(one.image), frozenset(map(bytes.fromhex, one.labels))
            if at >= self._stayed.get(image, (-1, labels))[0]:
                self._stayed[image] = at, labels

    def since(self, content: bytes, offset: int) -> bool:
        """Say whether a content (64 bytes: image, labels) that was validated at `offset` was erased since."""
        image = content[:32]
        if offset <= self._images.get(image, -1):
            return True
        at, labels = self._stayed.get(image, (-1, frozenset[bytes]()))
        return offset <= at and content[32:] not in labels

    def files(self) -> ErasedFiles:
        """Return by which names files of datasets show what was erased so far."""
        stayed = {
            _digits(image).image: (at, frozenset(_digits(image, one).labels for one in labels))
            for image, (at, labels) in self._stayed.items()
        }
        return ErasedFiles(self.last, {_digits(image).image: at for image, at in self._images.items()}, stayed)

    def answered(self, images: Collection[str], at: int) -> bool:
        """Say whether an event (of another recipe's writer, perhaps) answered that `at` erased these images."""
        return all(self._images.get(bytes.fromhex(image), -1) >= at for image in images)


def _digits(image: bytes, labels: bytes = b"") -> Digits:
    return Digits.of(image.hex(), labels.hex())
