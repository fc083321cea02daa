"""What of a project a dataset takes, and into which split it goes."""

from __future__ import annotations

import hashlib
import heapq
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from labelstream.labels import Shape
from labelstream.values import Split
from labelstream.view import Entry
from labelstream_datasets.building.published import Placement
from labelstream_datasets.options import DatasetOptions, LabelRules
from labelstream_datasets.splits import split_of


@dataclass(frozen=True)
class Selection:
    """Decides about one image at a time, with what was found out about all of them beforehand."""

    project: str
    options: DatasetOptions
    rules: LabelRules
    placement: Placement = field(default_factory=Placement)
    capped: Capped | None = None  # None: every image of a medium is taken

    def shapes(self, entry: Entry) -> tuple[Shape, ...] | None:
        """Return the shapes that an image has in the dataset; None when it is left out for having none."""
        shapes = self.rules.apply(entry.annotation.shapes)
        return shapes if shapes or not self.options.drop_empty else None

    def has_room_for(self, entry: Entry) -> bool:
        """Say whether an image is among those that are taken of its medium."""
        return self.capped is None or self.capped.has(entry)

    def wants(self, entry: Entry) -> bool:
        """Say whether an image belongs to the dataset, if its samples are to be had."""
        return self.shapes(entry) is not None and self.has_room_for(entry)

    def split(self, entry: Entry) -> Split:
        """Return the split of an image: that of the medium which it was first recorded with."""
        medium = entry.annotation.medium
        return self.placement.media.get(medium) or self.dealt(medium, self.published(entry))

    def published(self, entry: Entry) -> Split | None:
        """Return the split that the producer published for an image's medium, if that counts."""
        return entry.annotation.split if self.options.published_splits else None

    def is_listed(self, entry: Entry) -> bool:
        """Say whether a list, and nobody else, puts an image into its split."""
        return entry.annotation.medium in self.placement.media and self.published(entry) is None

    def dealt(self, medium: str, published: Split | None = None) -> Split:
        """Return the split of a medium that no list names."""
        return split_of(self.project, medium, self.options.salt, self.options.ratios, published)


@dataclass
class Capped:
    """The images of each medium that come first in an order which has nothing to do with time.

    So growing data moves few of them, and the same data always gives the same ones.
    """

    most: int
    salt: str
    _first: defaultdict[str, list[tuple[int, bytes]]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, entries: Iterable[Entry], most: int, salt: str) -> Capped:
        """Look through everything that could be taken."""
        capped = cls(most, salt)
        for entry in entries:
            capped._consider(entry)
        return capped

    def has(self, entry: Entry) -> bool:
        """Say whether an image is among the first of its medium."""
        heap = self._first.get(entry.annotation.medium)
        return heap is not None and self._place(entry) >= heap[0]

    def _consider(self, entry: Entry) -> None:
        heap = self._first[entry.annotation.medium]
        if len(heap) < self.most:
            heapq.heappush(heap, self._place(entry))
        else:
            heapq.heappushpop(heap, self._place(entry))

    def _place(self, entry: Entry) -> tuple[int, bytes]:
        """Return where an image stands, turned round: the first of all is the greatest."""
        image = bytes.fromhex(entry.annotation.image.sha256)
        digest = hashlib.sha256(self.salt.encode() + b"\n" + image).digest()
        return -int.from_bytes(digest[:8]), image
