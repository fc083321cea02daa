"""Collects images and boxes while a folder is read: cuts boxes at the image, and reports what is left out."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from labelstream.errors import Misconfigured
from labelstream.labels import DECIMALS
from labelstream.values import Split
from labelstream_cli.importers.model import Imported, ImportedFolder, NamedBox, Problem, Reason
from labelstream_cli.importers.splits import PublishedSplits

MEDIA = "media.csv"
_SMALLEST = 10.0**-DECIMALS  # a side that would be stored as 0


@dataclass(frozen=True)
class Options:
    """What a person may choose about reading."""

    every: int = 10  # of a video's frames, one in so many
    unlabelled: bool = False  # images of no known form are taken without boxes
    numbered: bool = False  # classes may go by their numbers alone, since a class map gives them names


@dataclass(frozen=True)
class Corners:
    """A box as a file gives it: a class name and corners in fractions of the image, unchecked."""

    name: str
    x1: float
    y1: float
    x2: float
    y2: float


@dataclass
class Collector:
    """What was read so far."""

    form: str
    splits: PublishedSplits
    media: dict[str, str]
    options: Options = Options()
    problems: list[Problem] = field(default_factory=list)
    claimed: set[Path] = field(default_factory=set)  # label files that belong to a video
    more_classes: list[str] = field(default_factory=list)  # those of the videos
    video_frames: int = 0  # of all videos, taken or not
    _images: dict[str, Imported] = field(default_factory=dict)

    @classmethod
    def of(cls, form: str, folder: Path, splits: PublishedSplits, options: Options = Options()) -> Collector:
        """Begin a folder; its `media.csv` is read if there is one."""
        return cls(form, splits, read_media(folder / MEDIA), options)

    @property
    def images(self) -> Iterable[Imported]:
        """The images that were taken so far."""
        return self._images.values()

    def leave_out(self, name: str, kind: Reason, reason: str) -> None:
        """Report something that is left out."""
        self.problems.append(Problem(name, reason, kind))

    def add(
        self,
        name: str,
        path: Path,
        boxes: Iterable[Corners],
        split: Split | None = None,
        medium: str | None = None,
        **fields: Any,
    ) -> None:
        """Take an image with its boxes; `fields` are the rest of `Imported`.

        `split` and `medium` are what the folder itself says; published lists and `media.csv` go first.
        """
        if not _is_text(name):
            self.leave_out(ascii(name), "image unreadable", "its file name is no text that can be sent: rename it")
            return
        if name in self._images:
            other = self._images[name].image_path.name
            self.leave_out(name, "name used twice", f"{path.name} has the same name as {other}")
            return
        medium = self.media.get(name) or self.media.get(path.name) or medium or name
        kept = tuple(box for given in boxes if (box := self._box(name, given)) is not None)
        published = self.splits.of(name)
        self._images[name] = Imported(name, path, medium, split if published is None else published, kept, **fields)

    def finish(self, classes: Iterable[str], class_ids: Mapping[int, str] | None = None) -> ImportedFolder:
        """Return what was read; all images of a medium get the split of its first."""
        of_medium: dict[str, Imported] = {}
        images = []
        for image in self._images.values():
            first = of_medium.setdefault(image.medium, image)
            if image.split != first.split:
                reason = f"its split {image.split}: {image.medium} is in {first.split} with {first.name}"
                self.leave_out(image.name, "split contradicted", reason)
            images.append(replace(image, split=first.split))
        for name in self.splits.unused:
            reason = "stands in a published list, but there is no such image"
            self.leave_out(name, "label without an image", reason)
        listed = tuple(dict.fromkeys([*classes, *self.more_classes]))
        return ImportedFolder(
            self.form, listed, tuple(images), tuple(self.problems), class_ids or {}, self.video_frames
        )

    def _box(self, name: str, given: Corners) -> NamedBox | None:
        corners = (given.x1, given.y1, given.x2, given.y2)
        problem = _problem(*corners)
        x1, y1, x2, y2 = (min(max(value, 0.0), 1.0) for value in corners)
        if problem is not None:
            self.leave_out(name, "box without area", f"a box of {given.name} {problem}")
            return None
        if _problem(x1, y1, x2, y2) is not None:
            self.leave_out(name, "box outside the image", f"a box of {given.name} lies outside the image")
            return None
        return NamedBox(given.name, (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1)


def _is_text(name: str) -> bool:
    """Say whether a name can travel as UTF-8; Python keeps other bytes of a file name as surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _problem(x1: float, y1: float, x2: float, y2: float) -> str | None:
    if not all(map(math.isfinite, (x1, y1, x2, y2))):
        return "has no finite numbers"
    return None if x2 - x1 >= _SMALLEST and y2 - y1 >= _SMALLEST else "has no area"


def read_media(path: Path) -> dict[str, str]:
    """Read `media.csv`: image → medium; empty when there is none. Raises Misconfigured."""
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.reader(file))
    if not rows or [cell.strip() for cell in rows[0]] != ["image", "medium"]:
        raise Misconfigured(f"{path} must begin with the line: image,medium")
    return {row[0].strip(): row[1].strip() for row in rows[1:] if len(row) == 2 and row[1].strip()}
