"""YOLO: images and label files with one line a box, class names in data.yaml or classes.txt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import yaml

from labelstream.errors import Misconfigured
from labelstream_cli.importers.collecting import Collector, Corners
from labelstream_cli.importers.files import images_below, name_of
from labelstream_cli.importers.model import ImportedFolder
from labelstream_cli.importers.splits import split_in

LOOKS = "images/ and labels/ (at the top, or in train/, val/ and test/), and data.yaml or classes.txt"
_NAMES_FILES = ("classes.txt", "obj.names", "labels/classes.txt")


@dataclass(frozen=True)
class ClassNames:
    """What the class numbers of label files mean; without names a class goes by its number."""

    listed: tuple[str, ...] | None

    def of(self, number: float) -> str:
        """Return the name of a class. Raises IndexError when there is none of this number."""
        if number < 0 or number != int(number):
            raise IndexError
        return str(int(number)) if self.listed is None else self.listed[int(number)]


def fits(folder: Path) -> bool:
    """Say whether a folder has this form; not where it only wraps one that has, and that lists its classes itself."""
    places = [images.parent for images in _image_folders(folder)]
    wraps = len(places) == 1 and places[0] != folder and listed_names(folder) is None
    return bool(places) and not (wraps and listed_names(places[0]) is not None)


def read(folder: Path, collector: Collector) -> ImportedFolder:
    """Read the folder. An image without a label file shows nothing of interest. Raises Misconfigured."""
    names = class_names(folder, collector)
    for images in _image_folders(folder):
        labels = images.parent / "labels"
        seen: set[Path] = set()
        for path in images_below(images):
            below = path.relative_to(images).with_suffix(".txt")
            seen.add(below)
            name = name_of(path, images)
            if images.parent != folder:
                name = f"{images.parent.name}/{name}"
            where = PurePosixPath(images.parent.relative_to(folder)) / PurePosixPath(below).parent
            _add(collector, name, path, labels / below, names, where)
        for label in sorted(labels.rglob("*.txt")):
            lost = label.relative_to(labels) not in seen and label not in collector.claimed
            if lost and label.name != "classes.txt":
                reason = "there is no image for this label file"
                collector.leave_out(str(label.relative_to(folder)), "label without an image", reason)
    listed = names.listed or _numbers_in(collector)
    return collector.finish(listed, dict(enumerate(names.listed or ())))


def class_names(folder: Path, collector: Collector) -> ClassNames:
    """Return what a folder says of its classes. Raises Misconfigured when it says nothing and numbers will not do."""
    listed = listed_names(folder)
    if listed is None and not collector.options.numbered:
        raise Misconfigured(
            f"{folder} does not say its classes: neither data.yaml (with names) nor classes.txt is there. "
            "--map 0=NAME --map 1=NAME, or --class-map FILE, names them"
        )
    return ClassNames(listed)


def listed_names(folder: Path) -> tuple[str, ...] | None:
    """Return the class names that a folder's data.yaml or classes.txt lists, or None. Raises Misconfigured."""
    for path in [folder / "data.yaml", *sorted(folder.glob("*.yaml")), *sorted(folder.glob("*.yml"))]:
        names = _names_in_yaml(path) if path.is_file() else None
        if names:
            return tuple(names)
    for path in (folder / name for name in _NAMES_FILES):
        if path.is_file():
            lines = path.read_text(encoding="utf-8-sig").splitlines()
            return tuple(line.strip() for line in lines if line.strip())
    return None


def boxes_in(collector: Collector, name: str, label: Path, names: ClassNames) -> list[Corners] | None:
    """Return the boxes of an image's label file; None when it holds no line that can be used, which is reported."""
    try:
        text = label.read_text(encoding="utf-8-sig") if label.is_file() else ""
    except (OSError, UnicodeDecodeError) as error:
        collector.leave_out(name, "labels unreadable", f"its label file can't be read: {error}")
        return None
    boxes = list(_boxes(collector, name, text, names))
    if text.strip() and not boxes:
        reason = "none of its label file's lines is a box, so it is not sent as an empty image"
        collector.leave_out(name, "labels unreadable", reason)
        return None
    return boxes


def _image_folders(folder: Path) -> list[Path]:
    places = [folder, *sorted(child for child in folder.iterdir() if child.is_dir())]
    return [place / "images" for place in places if (place / "images").is_dir() and (place / "labels").is_dir()]


def _names_in_yaml(path: Path) -> list[str] | None:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Misconfigured(f"{path} can't be read: {error}") from error
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, dict):
        numbered = {int(number): str(name) for number, name in names.items()}
        return [numbered.get(number, f"class-{number}") for number in range(max(numbered) + 1)]
    return [str(name) for name in names] if isinstance(names, list) else None


def _add(collector: Collector, name: str, image: Path, label: Path, names: ClassNames, where: PurePosixPath) -> None:
    boxes = boxes_in(collector, name, label, names)
    if boxes is not None:
        collector.add(name, image, boxes, split_in(where), assumed_empty=not label.is_file())


def _numbers_in(collector: Collector) -> list[str]:
    return sorted({box.name for image in collector.images for box in image.boxes}, key=lambda name: (len(name), name))


def _boxes(collector: Collector, name: str, text: str, names: ClassNames) -> Iterator[Corners]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            first, *rest = map(float, line.split())
            yield Corners(names.of(first), *_corners(rest))
        except IndexError:
            collector.leave_out(name, "no such class", f"line {number}: there is no class {line.split()[0]}")
        except (ValueError, OverflowError) as error:  # a class of inf has no integer
            collector.leave_out(name, "label is no box", f"line {number} is no box: {error}")


def _corners(values: list[float]) -> tuple[float, float, float, float]:
    """Return the corners of a box (4 numbers, or 5 with a confidence) or of the polygon that encloses one."""
    if len(values) in (4, 5):
        x, y, w, h = values[:4]
        return x - w / 2, y - h / 2, x + w / 2, y + h / 2
    if len(values) >= 6 and len(values) % 2 == 0:
        xs, ys = values[0::2], values[1::2]
        return min(xs), min(ys), max(xs), max(ys)
    raise ValueError(f"{len(values)} numbers after the class")
