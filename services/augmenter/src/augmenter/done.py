"""What stands in archives already: a fold over our own stream."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from labelstream.events.batch import BatchAugmented, Member
from labelstream.events.envelope import Envelope
from labelstream_datasets.archives.erased import ErasedContents


@dataclass(frozen=True)
class _Shelved:
    """An archive of any recipe."""

    last: int  # it answers offsets up to this one
    images: bytes  # the digests of those that it shows, 32 bytes each
    own: bool  # of the recipe that is asked for


class Done:
    """Which contents one recipe augmented, and which images each archive of the project shows."""

    def __init__(self, project: str, recipe: str) -> None:
        self._project = project
        self._recipe = recipe
        self._contents: dict[bytes, int] = {}  # 64 bytes → the offset that validated it
        self._archives: dict[str, _Shelved] = {}
        self._erased = ErasedContents()

    def fold(self, _offset: int, envelope: Envelope) -> None:
        """Take one event of `batch-events` into account."""
        event = envelope.event
        if not isinstance(event, BatchAugmented) or envelope.project != self._project:
            return
        self._forget(event)
        self._shelve(event)
        if event.recipe == self._recipe:
            for member in event.members:
                if not self((member.image, member.labels)):
                    self._contents[_packed((member.image, member.labels))] = member.offset

    def __call__(self, content: tuple[str, str]) -> bool:
        """Say whether this content (digests of image and labels) was augmented, and not erased since."""
        packed = _packed(content)
        offset = self._contents.get(packed)
        return offset is not None and not self._erased.since(packed, offset)

    def knows(self, archive: str) -> bool:
        """Say whether an event named the archive with this key, and none said that it is gone."""
        return archive in self._archives

    def own_archives(self) -> list[str]:
        """Return the keys of the archives of this recipe that must be there."""
        return [key for key, shelved in self._archives.items() if shelved.own]

    def showing(self, images: Collection[str], before: int) -> list[str]:
        """Return the keys of the archives that answer offsets below `before` and show one of the images."""
        wanted = {bytes.fromhex(image) for image in images}
        return [
            key
            for key, shelved in self._archives.items()
            if shelved.last < before and not wanted.isdisjoint(_split(shelved.images))
        ]

    def erased(self, images: Collection[str], at: int) -> bool:
        """Say whether an event (of another recipe's writer, perhaps) answered that `at` erased these images."""
        return self._erased.answered(images, at)

    def _forget(self, event: BatchAugmented) -> None:
        self._erased.fold(event)
        gone = {bytes.fromhex(image) for image in event.erased_images}
        for one in event.rewritten:
            old = self._archives.pop(one.archive, None)
            if old is not None and one.by is not None:
                left = b"".join(image for image in _split(old.images) if image not in gone)
                self._archives[one.by.key] = _Shelved(old.last, left, old.own)

    def _shelve(self, event: BatchAugmented) -> None:
        archives = [event.archive, *event.more_archives] if event.archive else []
        shown: list[list[Member]] = [[] for _ in archives]
        for member in event.members:
            shown[member.archive].append(member)
        for archive, members in zip(archives, shown, strict=True):
            self._archives[archive.key] = _Shelved(event.input.last, _images(members), event.recipe == self._recipe)


def _images(members: Sequence[Member]) -> bytes:
    return b"".join({bytes.fromhex(member.image): None for member in members})


def _split(images: bytes) -> list[bytes]:
    return [images[at : at + 32] for at in range(0, len(images), 32)]


def _packed(content: tuple[str, str]) -> bytes:
    return bytes.fromhex(content[0] + content[1])
