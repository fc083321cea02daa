"""The figures of a dataset, as JSON has them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from labelstream.values import Sha256, Split, Value
from labelstream_datasets.checking.duplicates import Duplicates

Size = Literal["small", "medium", "large"]
SIZES: tuple[Size, ...] = ("small", "medium", "large")


class Finding(Value):
    """Something that a person should know before training on the dataset."""

    weight: Literal["bad", "look"] = Field(description="bad: figures of a model trained on it would mislead")
    rule: str = Field(description="stable id")
    text: str


class SplitFigures(Value):
    """What one split holds."""

    media: int = 0
    images: int = Field(0, description="originals")
    samples: int = Field(0, description="originals and variants")
    boxes: int = Field(0, description="on the originals")
    without_boxes: int = Field(0, description="originals")
    asked: float = Field(0, description="the share of media that the options ask for")
    got_media: float = Field(0, description="share of all media")
    got_images: float = Field(0, description="share of all originals")


class ClassSplit(Value):
    """What one split holds of a class."""

    images: int = Field(0, description="originals that show it")
    samples: int = Field(0, description="of those originals, with their variants")
    boxes: int = Field(0, description="on the originals")


class Example(Value):
    """An image that shows a class."""

    image: Sha256
    name: str
    medium: str
    split: Split
    archive: str


class ClassFigures(Value):
    """What the dataset holds of a class."""

    id: int
    name: str
    splits: dict[Split, ClassSplit] = Field(default_factory=dict)
    media: int = Field(0, description="media that show it")
    median_side: float | None = Field(None, description="root of a box's area, as a fraction of the image's")
    sizes: dict[Size, int] = Field(default_factory=dict, description="boxes by COCO's limits, in the image's pixels")
    examples: tuple[Example, ...] = ()

    def count(self, split: Split) -> ClassSplit:
        """Return what one split holds."""
        return self.splits.get(split, ClassSplit())

    @property
    def images(self) -> int:
        """Originals that show the class, in all splits."""
        return sum(split.images for split in self.splits.values())

    @property
    def boxes(self) -> int:
        """Boxes of the class on the originals of all splits."""
        return sum(split.boxes for split in self.splits.values())


class Histogram(Value):
    """Counts between edges; what lies outside is counted in the first and the last one."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


class BoxFigures(Value):
    """How the boxes of the originals are."""

    per_image: Histogram = Field(description="boxes on one original")
    sides: Histogram = Field(description="root of the box's area over the root of the image's")
    aspects: Histogram = Field(description="width over height, in pixels where the image's size is known")
    centres: tuple[tuple[int, ...], ...] = Field(description="rows from the top, columns from the left")
    sizes: dict[Size, int] = Field(default_factory=dict, description="COCO's limits, 32² and 96² of the image's pixels")
    sizes_at: dict[Size, int] = Field(default_factory=dict, description="the same at the training size")
    fractions: dict[Size, int] = Field(default_factory=dict, description="sides below 5 %, below 15 %, and the rest")
    train_side: int = Field(description="pixels of the longer side in training")
    tiny: int = Field(0, description="boxes with a side below `tiny_px` at the training size")
    tiny_px: int
    unknown_size: int = Field(0, description="boxes on images of unknown size, taken for squares")


class SourceFigures(Value):
    """What came from one medium."""

    medium: str
    split: Split
    images: int
    boxes: int


class Sources(Value):
    """Where the images came from."""

    media: int
    top: tuple[SourceFigures, ...] = Field(description="those with the most images")
    half: int = Field(description="so many media make half of the images")
    alike: bool = Field(False, description="whether all media have as many images")


class ImageFigures(Value):
    """Sizes and formats of the originals, as far as they are known."""

    sizes: tuple[tuple[int, int, int], ...] = Field((), description="(width, height, images), the commonest first")
    other_sizes: int = Field(0, description="images of other sizes")
    formats: dict[str, int] = Field(default_factory=dict)
    bytes: int = 0
    unknown: int = Field(0, description="images of unknown size")


class VariantFigures(Value):
    """What augmenting left of the boxes, before classes are chosen and small boxes left out."""

    variant: int
    samples: int
    boxes: int
    of: int = Field(description="boxes on the same originals")
    emptied: int = Field(description="samples that lost every box of their original")


class Statistics(Value):
    """A dataset in figures."""

    dataset: Sha256
    project: str
    cut: int = Field(description="offset of `annotation-events`, inclusive")
    recipe: Sha256
    missing: int = Field(description="images that could not be augmented")
    erased: int = Field(0, description="images of the dataset that are known no more: boxes are counted without them")
    published: int = Field(0, description="images whose split was published, by their producer or by lists")
    emptied: int = Field(0, description="images that lost all their boxes to the classes and the smallest box")
    splits: dict[Split, SplitFigures]
    classes: tuple[ClassFigures, ...]
    boxes: BoxFigures
    sources: Sources
    images: ImageFigures
    variants: tuple[VariantFigures, ...]
    duplicates: Duplicates
    findings: tuple[Finding, ...] = Field((), description="most important first")

    def total(self, what: Literal["images", "samples", "boxes", "without_boxes", "media"]) -> int:
        """Return a figure of all splits together."""
        return sum(int(getattr(split, what)) for split in self.splits.values())
