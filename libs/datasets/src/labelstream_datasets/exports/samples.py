"""Reading a materialised dataset, one sample after the other."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from PIL import Image

from labelstream.errors import Misconfigured
from labelstream.labels import Box
from labelstream.values import SPLITS, Split
from labelstream_datasets.description import DatasetDescription
from labelstream_datasets.layout.interrupted import FINISHED, MEDIA, first_line

_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)  # EXIF: the image is to be seen on its side


@dataclass(frozen=True)
class Sample:
    """An image of the dataset, an original or a variant, with its labels."""

    number: int  # its place in the folder, from 1
    split: Split
    image: Path
    labels: Path
    medium: str

    @property
    def stem(self) -> str:
        """What its files are called, without suffix."""
        return self.image.stem

    @property
    def variant(self) -> int:
        """Its number among what was made of one image; 0 is the original."""
        number = self.stem.rpartition("_")[2]
        return int(number) if number.isdigit() else 0

    @cached_property
    def lines(self) -> str:
        """Its labels as YOLO lines."""
        return self.labels.read_text()

    @cached_property
    def boxes(self) -> tuple[Box, ...]:
        """Its boxes, in fractions of the image as it is to be seen."""
        fields = (line.split() for line in self.lines.splitlines())
        return tuple(
            Box(class_id=int(class_id), x=float(x), y=float(y), w=float(w), h=float(h))
            for class_id, x, y, w, h in fields
        )

    @cached_property
    def size(self) -> tuple[int, int, int]:
        """Width and height in pixels as it is to be seen (its EXIF orientation applied), and the number of channels."""
        with Image.open(self.image) as opened:
            width, height = opened.size
            turned = opened.getexif().get(_ORIENTATION) in _TURNED
            channels = 3 if opened.mode == "P" else len(opened.getbands())
        return (height, width, channels) if turned else (width, height, channels)

    def corners(self, box: Box) -> tuple[float, float, float, float]:
        """Return x1, y1, x2, y2 of a box in pixels: (0, 0) is the image's edge, no corner lies beyond it."""
        width, height, _ = self.size
        x1, y1, x2, y2 = box.corners()
        return max(x1, 0) * width, max(y1, 0) * height, min(x2, 1) * width, min(y2, 1) * height


def samples(folder: Path, splits: Sequence[Split], *, variants: bool) -> Iterator[Sample]:
    """Return the samples of some splits, by split and name; numbers do not depend on what is chosen."""
    media = _media(folder)
    number = 0
    for split in SPLITS:
        images = folder / split / "images"
        for image in sorted(images.iterdir()) if images.is_dir() else ():
            number += 1
            labels = folder / split / "labels" / f"{image.stem}.txt"
            sample = Sample(number, split, image, labels, media.get(image.name, image.stem))
            if split in splits and (variants or sample.variant == 0):
                yield sample


def check(folder: Path, description: DatasetDescription, splits: Sequence[Split]) -> None:
    """Check that a folder holds the whole dataset. Raises Misconfigured."""
    dataset, *there = (first_line(folder / FINISHED) or "").split(" ")
    if not dataset:
        raise Misconfigured(
            f"{folder} holds no dataset, or one that is not whole yet: `labelstream dataset pull` lays one out"
        )
    if dataset != description.id:
        raise Misconfigured(f"{folder} holds the dataset {dataset}, not {description.id}")
    lacking = [split for split in splits if split not in there]
    if lacking:
        raise Misconfigured(f"{folder} was laid out without {', '.join(lacking)}: pull the dataset with all its splits")


def _media(folder: Path) -> dict[str, str]:
    path = folder / MEDIA
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {row[0]: row[1] for row in csv.reader(file) if len(row) == 2}
