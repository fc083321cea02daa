"""Counting what goes into a dataset, while its rows pass."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from labelstream.labels import Shape
from labelstream.values import Split
from labelstream_datasets.description import SplitCount


@dataclass
class _Split:
    media: set[str] = field(default_factory=set)
    images: int = 0
    samples: int = 0
    boxes: int = 0
    class_images: Counter[int] = field(default_factory=Counter)


@dataclass
class Tally:
    """What each split holds so far, who said so, and what is not in it."""

    missing: int = 0
    published: int = 0  # images whose split is their producer's
    listed: int = 0  # images whose split is that of a list alone
    emptied: int = 0  # images that lost all their boxes to the label rules
    passed_over: set[str] = field(default_factory=set)  # annotations that stand for an image which is not taken
    splits: dict[Split, _Split] = field(default_factory=dict)

    def add(self, split: Split, medium: str, shapes: tuple[Shape, ...], samples: int) -> None:
        """Count an image with its shapes, and the samples that it gives."""
        tally = self.splits.setdefault(split, _Split())
        tally.media.add(medium)
        tally.images += 1
        tally.samples += samples
        tally.boxes += len(shapes)
        tally.class_images.update({shape.class_id for shape in shapes})

    def counts(self) -> dict[Split, SplitCount]:
        """Return the counts of each split that has something."""
        return {
            split: SplitCount(
                media=len(tally.media),
                images=tally.images,
                samples=tally.samples,
                boxes=tally.boxes,
                class_images=dict(sorted(tally.class_images.items())),
            )
            for split, tally in sorted(self.splits.items())
        }
