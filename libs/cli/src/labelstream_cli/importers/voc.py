"""PASCAL VOC: one XML file an image. Corners are edges in pixels from 0, as today's tools write them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from labelstream_cli.importers.collecting import Collector, Corners
from labelstream_cli.importers.files import images_below, name_of
from labelstream_cli.importers.model import ImportedFolder
from labelstream_cli.importers.yolo import listed_names

LOOKS = "Annotations/*.xml and JPEGImages/"
_ANNOTATIONS, _IMAGES = "Annotations", "JPEGImages"
_FIELDS = ("xmin", "ymin", "xmax", "ymax")


def fits(folder: Path) -> bool:
    """Say whether a folder has this form."""
    return (folder / _IMAGES).is_dir() and any((folder / _ANNOTATIONS).glob("**/*.xml"))


def read(folder: Path, collector: Collector) -> ImportedFolder:
    """Read the folder. Classes come as classes.txt lists them, if it is there, and then in the order of their names."""
    images = {name_of(path, folder / _IMAGES): path for path in images_below(folder / _IMAGES)}
    annotations = folder / _ANNOTATIONS
    names: set[str] = set()
    for path in sorted(annotations.rglob("*.xml")):
        name = name_of(path, annotations)
        image = images.pop(name, None)
        if image is None:
            collector.leave_out(name, "label without an image", f"there is no image of this name in {_IMAGES}")
            continue
        try:
            root = ET.parse(path).getroot()  # noqa: S314  expat itself limits what entities may grow to
            boxes = list(_boxes(collector, name, root, _size(root, image)))
        except (ET.ParseError, OSError, UnicodeDecodeError, UnidentifiedImageError) as error:
            collector.leave_out(name, "labels unreadable", f"{path.name} can't be read: {error}")
            continue
        names.update(box.name for box in boxes)
        collector.add(name, image, boxes)
    for name in images:
        collector.leave_out(name, "image without labels", f"there is no file {name}.xml in {_ANNOTATIONS}")
    return collector.finish([*(listed_names(folder) or ()), *sorted(names)])


def _size(root: ET.Element, image: Path) -> tuple[float, float]:
    """Return the image's width and height; files in which they are missing or 0 exist."""
    try:
        width, height = float(root.findtext("size/width", "0")), float(root.findtext("size/height", "0"))
    except ValueError:
        width = height = 0.0
    if width > 0 and height > 0:
        return width, height
    with Image.open(image) as opened:
        return opened.size


def _boxes(collector: Collector, name: str, root: ET.Element, size: tuple[float, float]) -> Iterator[Corners]:
    width, height = size
    for number, thing in enumerate(root.iter("object"), 1):
        class_name = thing.findtext("name", "").strip()
        try:
            x1, y1, x2, y2 = (float(thing.findtext(f"bndbox/{field}", "")) for field in _FIELDS)
        except ValueError:
            collector.leave_out(name, "label is no box", f"object {number} has no box")
            continue
        if not class_name:
            collector.leave_out(name, "label is no box", f"object {number} has no name")
            continue
        yield Corners(class_name, x1 / width, y1 / height, x2 / width, y2 / height)
