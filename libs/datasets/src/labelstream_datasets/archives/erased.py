"""What was erased of a project, as its batch events tell it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from labelstream.events.batch import BatchAugmented


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


@dataclass
class ErasedContents:
    """Which images and labels were erased, and when; what was augmented later is there again."""

    _images: dict[bytes, int] = field(default_factory=dict)  # image → the offset that erased it last
    _stayed: dict[bytes, tuple[int, frozenset[bytes]]] = field(default_factory=dict)  # image → offset, labels that stay

    def fold(self, event: BatchAugmented) -> None:
        """Take one event of the project into account."""
        at = event.input.last
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

    def answered(self, images: Collection[str], at: int) -> bool:
        """Say whether an event (of another recipe's writer, perhaps) answered that `at` erased these images."""
        return all(self._images.get(bytes.fromhex(image), -1) >= at for image in images)
