"""What an importer makes of a folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from labelstream.values import Split

Reason = Literal[
    "archive entry refused",
    "box outside the image",
    "box without area",
    "class dropped by the map",
    "image unreadable",
    "image without labels",
    "label is no box",
    "label without an image",
    "labels unreadable",
    "name used twice",
    "message not allowed",
    "no such class",
    "split contradicted",
    "video unreadable",
]


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
    """One annotated image: a file, or a frame of a video."""

    name: str  # its path below the folder's images, without the suffix
    image_path: Path  # of a frame: the video
    medium: str  # the photo or video that it came from
    split: Split | None
    boxes: tuple[NamedBox, ...]
    frame: int | None = None  # its number in the video, from 0
    validated: bool = True  # whether a person has said that the boxes are right
    assumed_empty: bool = False  # it is without boxes only since it has no label file
    deleted: bool = False  # to be deleted once it is there, so that its name keeps its history


@dataclass(frozen=True)
class Problem:
    """Something that was left out, and why."""

    name: str
    reason: str
    kind: Reason

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True)
class ImportedFolder:
    """A folder that was read: its images in order, its classes, and what was left out."""

    form: str  # "YOLO", "COCO", "PASCAL VOC", "Azaion", "videos" or "images without labels"
    classes: tuple[str, ...]
    images: tuple[Imported, ...]
    problems: tuple[Problem, ...]
    class_ids: Mapping[int, str] = field(default_factory=dict)  # as the source numbers them
    video_frames: int = 0  # of its videos, taken or not

    def __iter__(self) -> Iterator[Imported]:
        return iter(self.images)

    def __len__(self) -> int:
        return len(self.images)
