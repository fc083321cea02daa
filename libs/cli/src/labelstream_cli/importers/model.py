"""What an importer makes of a folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labelstream.values import Split


@dataclass(frozen=True)
class NamedBox:
    """A box with its class by name: centre and size as fractions of the image's width and height."""

    name: str
    x: float
    y: float
    w: float
    h: float

    def as_message(self) -> dict[str, Any]:
        """Return the box as an annotation message spells it."""
        return {"class": self.name, "x": self.x, "y": self.y, "w": self.w, "h": self.h}


@dataclass(frozen=True)
class Imported:
    """One annotated image."""

    name: str  # its path below the folder's images, without the suffix
    image_path: Path
    medium: str  # the photo or video that it came from
    split: Split | None
    boxes: tuple[NamedBox, ...]


@dataclass(frozen=True)
class Problem:
    """Something that was left out, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True)
class ImportedFolder:
    """A folder that was read: its images in order, its classes, and what was left out."""

    form: str  # "YOLO", "COCO" or "PASCAL VOC"
    classes: tuple[str, ...]
    images: tuple[Imported, ...]
    problems: tuple[Problem, ...]

    def __iter__(self) -> Iterator[Imported]:
        return iter(self.images)

    def __len__(self) -> int:
        return len(self.images)
