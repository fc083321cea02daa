"""COCO: JSON files with images, annotations and categories."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from labelstream.errors import Misconfigured
from labelstream_cli.importers.collecting import Collector, Corners
from labelstream_cli.importers.files import images_below
from labelstream_cli.importers.model import ImportedFolder
from labelstream_cli.importers.splits import split_in

LOOKS = "*.json with images, annotations and categories (at the top, in annotations/, or beside the images)"
_PLACES = ("*.json", "annotations/*.json", "*/*.json")
_KEYS = ('"images"', '"annotations"', '"categories"')


def fits(folder: Path) -> bool:
    """Say whether a folder has this form."""
    return bool(_files(folder))


def read(folder: Path, collector: Collector) -> ImportedFolder:
    """Read the folder. Classes come in the order of their category ids."""
    reading = _Reading(folder, collector)
    for path in _files(folder):
        name = str(path.relative_to(folder))
        try:
            content = json.loads(path.read_text(encoding="utf-8-sig"))
            reading.take(path, content)
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            collector.leave_out(name, "labels unreadable", f"can't be read: {error}")
        except (KeyError, TypeError, ValueError, AttributeError) as error:  # JSON of another shape
            collector.leave_out(name, "labels unreadable", f"is not what COCO describes: {error!r}")
    if not reading.categories:
        raise Misconfigured(f"no file in {folder} could be read:\n" + "\n".join(map(str, collector.problems)))
    numbered = dict(sorted(reading.categories.items()))
    return collector.finish(numbered.values(), numbered)


def _files(folder: Path) -> list[Path]:
    found = {path for place in _PLACES for path in folder.glob(place) if path.is_file()}
    return sorted(path for path in found if _has_keys(path))


def _has_keys(path: Path) -> bool:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return False
    return all(key in text for key in _KEYS)


@dataclass
class _Reading:
    folder: Path
    collector: Collector
    categories: dict[int, str] = field(default_factory=dict)
    _by_name: dict[str, Path] | None = None

    def take(self, path: Path, content: dict[str, Any]) -> None:
        """Take one JSON file."""
        categories = {int(one["id"]): str(one["name"]) for one in content["categories"]}
        if any(self.categories.get(number, name) != name for number, name in categories.items()):
            raise Misconfigured(f"{path} gives a category id another name than the files before it")
        self.categories.update(categories)
        annotations = defaultdict(list)
        for one in content["annotations"]:
            annotations[one["image_id"]].append(one)
        split = split_in(PurePosixPath(path.relative_to(self.folder)))
        for image in content["images"]:
            file_name = str(image["file_name"])
            name = str(PurePosixPath(file_name).with_suffix(""))
            found = self._find(path.parent, file_name)
            if found is None:
                self.collector.leave_out(name, "label without an image", f"there is no image {file_name}")
                continue
            self.collector.add(name, found, self._boxes(name, image, annotations[image["id"]]), split)

    def _find(self, beside: Path, file_name: str) -> Path | None:
        for place in (beside, self.folder, self.folder / "images"):
            path = (place / file_name).resolve()
            if path.is_file() and path.is_relative_to(self.folder.resolve()):
                return path
        if self._by_name is None:
            self._by_name = {path.name: path for path in images_below(self.folder)}
        return self._by_name.get(PurePosixPath(file_name).name)

    def _boxes(self, name: str, image: dict[str, Any], annotations: list[dict[str, Any]]) -> Iterator[Corners]:
        width, height = float(image["width"]), float(image["height"])
        for one in annotations:
            class_name = self.categories.get(one.get("category_id", -1))
            if one.get("iscrowd"):
                self.collector.leave_out(name, "label is no box", f"a crowd of {class_name} is no single object")
            elif class_name is None:
                self.collector.leave_out(name, "no such class", f"there is no category {one.get('category_id')}")
            elif len(one.get("bbox") or ()) != 4:
                self.collector.leave_out(name, "label is no box", f"an annotation of {class_name} has no bbox")
            else:
                x, y, w, h = map(float, one["bbox"])
                yield Corners(class_name, x / width, y / height, (x + w) / width, (y + h) / height)
