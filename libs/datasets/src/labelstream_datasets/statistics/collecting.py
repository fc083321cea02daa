"""Boxes and images, collected into columns while they pass."""

from __future__ import annotations

import heapq
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from labelstream.events.annotation import ImageRef
from labelstream.labels import Shape
from labelstream.values import SPLITS
from labelstream_datasets.manifest import Row

EXAMPLES = 12  # images kept for each class


class Original(NamedTuple):
    """An original of a dataset."""

    row: Row  # of variant 0
    shapes: Sequence[Shape]  # as the dataset has them, after its label rules
    image: ImageRef | None = None  # for its size and format, if known


@dataclass
class Columns:
    """What was seen of the originals: five numbers a box, three an image."""

    split: array[int] = field(default_factory=lambda: array("b"))  # of each image, as in SPLITS
    boxes: array[int] = field(default_factory=lambda: array("i"))
    size: array[int] = field(default_factory=lambda: array("i"))  # width, height; 0 for unknown
    box_class: array[int] = field(default_factory=lambda: array("i"))  # of each box
    box: array[float] = field(default_factory=lambda: array("f"))  # x, y, w, h, as fractions
    class_images: list[Counter[int]] = field(default_factory=lambda: [Counter() for _ in SPLITS])
    class_samples: list[Counter[int]] = field(default_factory=lambda: [Counter() for _ in SPLITS])
    class_media: defaultdict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    examples: defaultdict[int, list[tuple[tuple[int, int], str, Row]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    formats: Counter[str] = field(default_factory=Counter)
    image_bytes: int = 0
    medium_boxes: Counter[str] = field(default_factory=Counter)

    def add(self, original: Original, samples: int) -> None:
        """Take an original, of which there are so many samples."""
        row, shapes, image = original
        split = SPLITS.index(row.split)
        self.split.append(split)
        self.boxes.append(len(shapes))
        self.size.extend((image.width, image.height) if image else (0, 0))
        if image:
            self.formats[image.format] += 1
            self.image_bytes += image.size_bytes
        for shape in shapes:
            self.box_class.append(shape.class_id)
            self.box.extend((shape.x, shape.y, shape.w, shape.h))
        self.medium_boxes[row.medium] += len(shapes)
        for class_id in {shape.class_id for shape in shapes}:
            self.class_images[split][class_id] += 1
            self.class_samples[split][class_id] += samples
            self.class_media[class_id].add(row.medium)
            self._keep(class_id, row)

    def _keep(self, class_id: int, row: Row) -> None:
        """Keep the same few images of a class every time: training images, by their digests."""
        key = (int(row.split == "train"), -int(row.image[:12], 16))
        kept = self.examples[class_id]
        if len(kept) < EXAMPLES:
            heapq.heappush(kept, (key, row.image, row))
        elif key > kept[0][0]:
            heapq.heapreplace(kept, (key, row.image, row))


def collect(originals: Iterable[Original], samples: dict[str, int]) -> Columns:
    """Collect the originals; `samples` says how many samples each image has."""
    columns = Columns()
    for original in originals:
        columns.add(original, samples.get(original.row.image, 1))
    return columns
