"""YOLO: images and label files with one line a box, class names in data.yaml or classes.txt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import yaml

from labelstream.errors import Misconfigured
from labelstream_cli.importers.collecting import Collector, Corners
from labelstream_cli.importers.files import images_below, name_of
from labelstream_cli.importers.model import ImportedFolder
from labelstream_cli.importers.splits import split_in

LOOKS = "images/ and labels/ (at the top, or in train/, val/ and test/), and data.yaml or classes.txt"
_NAMES_FILES = ("classes.txt", "obj.names", "labels/classes.txt")


def fits(folder: Path) -> bool:
    """Say whether a folder has this form."""
    return bool(_image_folders(folder))


def read(folder: Path, collector: Collector) -> ImportedFolder:
    """Read the folder. An image without a label file shows nothing of interest. Raises Misconfigured."""
    names = _class_names(folder)
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
            if label.relative_to(labels) not in seen and label.name != "classes.txt":
                collector.leave_out(str(label.relative_to(folder)), "there is no image for this label file")
    return collector.finish(names)


def _image_folders(folder: Path) -> list[Path]:
    places = [folder, *sorted(child for child in folder.iterdir() if child.is_dir())]
    return [place / "images" for place in places if (place / "images").is_dir() and (place / "labels").is_dir()]


def _class_names(folder: Path) -> list[str]:
    for path in [folder / "data.yaml", *sorted(folder.glob("*.yaml")), *sorted(folder.glob("*.yml"))]:
        names = _names_in_yaml(path) if path.is_file() else None
        if names:
            return names
    for path in (folder / name for name in _NAMES_FILES):
        if path.is_file():
            return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    raise Misconfigured(f"{folder} does not say its classes: neither data.yaml (with names) nor classes.txt is there")


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


def _add(collector: Collector, name: str, image: Path, label: Path, names: list[str], where: PurePosixPath) -> None:
    try:
        text = label.read_text(encoding="utf-8-sig") if label.is_file() else ""
    except (OSError, UnicodeDecodeError) as error:
        collector.leave_out(name, f"its label file can't be read: {error}")
        return
    boxes = list(_boxes(collector, name, text, names))
    if text.strip() and not boxes:
        collector.leave_out(name, "none of its label file's lines is a box, so it is not sent as an empty image")
        return
    collector.add(name, image, boxes, split_in(where))


def _boxes(collector: Collector, name: str, text: str, names: list[str]) -> Iterator[Corners]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            first, *rest = map(float, line.split())
            class_name = names[_class_id(first)]
            yield Corners(class_name, *_corners(rest))
        except IndexError:
            collector.leave_out(name, f"line {number}: there is no class {line.split()[0]}")
        except ValueError as error:
            collector.leave_out(name, f"line {number} is no box: {error}")


def _class_id(value: float) -> int:
    if value < 0 or value != int(value):
        raise IndexError
    return int(value)


def _corners(values: list[float]) -> tuple[float, float, float, float]:
    """Return the corners of a box (4 numbers, or 5 with a confidence) or of the polygon that encloses one."""
    if len(values) in (4, 5):
        x, y, w, h = values[:4]
        return x - w / 2, y - h / 2, x + w / 2, y + h / 2
    if len(values) >= 6 and len(values) % 2 == 0:
        xs, ys = values[0::2], values[1::2]
        return min(xs), min(ys), max(xs), max(ys)
    raise ValueError(f"{len(values)} numbers after the class")
