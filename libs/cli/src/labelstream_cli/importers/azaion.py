"""Azaion's dataset folders: data (validated), data-seed (not yet) and data_deleted, each with images/ and labels/.

Labels are YOLO lines whose classes are numbers of the Azaion schema. The variants in data-processed are passed
over: Labelstream makes its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from labelstream.schemas import load_named_schema
from labelstream_cli.importers.collecting import Collector
from labelstream_cli.importers.files import images_below, name_of
from labelstream_cli.importers.model import ImportedFolder
from labelstream_cli.importers.yolo import ClassNames, boxes_in, listed_names

LOOKS = "data/, data-seed/ or data_deleted/, each with images/ and labels/"
_PLACES: dict[str, dict[str, Any]] = {
    "data": {},
    "data-seed": {"validated": False},
    "data_deleted": {"validated": False, "deleted": True},
}
_TELLING = ("data-seed", "data_deleted", "data-processed", "data-corrupted")


def fits(folder: Path) -> bool:
    """Say whether a folder has this form; a folder of YOLO form that is called `data` and lists classes has not."""
    there = any((folder / place / "images").is_dir() for place in _PLACES)
    telling = any((folder / place).is_dir() for place in _TELLING)
    return there and (telling or (listed_names(folder) is None and listed_names(folder / "data") is None))


def read(folder: Path, collector: Collector) -> ImportedFolder:
    """Read the folder."""
    classes = load_named_schema("azaion").classes
    for place, fields in _PLACES.items():
        _read_place(folder / place, collector, ClassNames(classes), fields)
    return collector.finish(classes, dict(enumerate(classes)))


def _read_place(place: Path, collector: Collector, names: ClassNames, fields: dict[str, Any]) -> None:
    images, labels = place / "images", place / "labels"
    seen: set[Path] = set()
    for path in images_below(images):
        name = name_of(path, images)
        label = labels / path.relative_to(images).with_suffix(".txt")
        seen.add(label)
        if not label.is_file():
            reason = f"{place.name} has no label file for it"
            collector.leave_out(name, "image without labels", reason)
            continue
        boxes = boxes_in(collector, name, label, names)
        if boxes is not None:
            collector.add(name, path, boxes, **fields)
    for label in sorted(labels.rglob("*.txt")):
        if label not in seen and label not in collector.claimed:
            reason = "there is no image for this label file"
            collector.leave_out(f"{place.name}/labels/{label.relative_to(labels)}", "label without an image", reason)
