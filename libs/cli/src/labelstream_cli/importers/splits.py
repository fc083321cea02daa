"""Published splits: lists that say which image is for training, validation and test."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from labelstream.errors import Misconfigured
from labelstream.values import SPLITS, Split

_FOLDER_NAMES: dict[str, Split] = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test",
    "testing": "test",
}  # fmt: skip


@dataclass
class PublishedSplits:
    """Image → split, as lists say it; images are known by path or by file name, with or without suffix."""

    lists: dict[str, Split] = field(default_factory=dict)
    _used: set[str] = field(default_factory=set)

    def of(self, name: str) -> Split | None:
        """Return the split that was published for an image, if any."""
        for key in (name, PurePosixPath(name).name):
            if key in self.lists:
                self._used.add(key)
                return self.lists[key]
        return None

    @property
    def unused(self) -> list[str]:
        """The listed images that nobody asked for."""
        return [name for name in self.lists if name not in self._used]


def read_splits(directory: Path | None) -> PublishedSplits:
    """Read train.txt, val.txt and test.txt of a directory: one image a line. Other lists are passed over.

    Raises Misconfigured when there is none of them, or when an image stands in two.
    """
    if directory is None:
        return PublishedSplits()
    paths = {split: directory / f"{split}.txt" for split in SPLITS}
    if not any(path.is_file() for path in paths.values()):
        raise Misconfigured(f"there is neither train.txt, val.txt nor test.txt in {directory}")
    lists: dict[str, Split] = {}
    for split, path in paths.items():
        for name in _names(path) if path.is_file() else []:
            if lists.setdefault(name, split) != split:
                raise Misconfigured(f"{name} stands in {lists[name]}.txt and in {split}.txt of {directory}")
    return PublishedSplits(lists)


def find_splits(folder: Path) -> Path | None:
    """Return where a folder's published lists lie: in it, in its ImageSets, or beside it; None when nowhere."""
    for directory in (folder / "splits", folder / "ImageSets" / "Main", folder.parent / "splits"):
        if any((directory / f"{split}.txt").is_file() for split in SPLITS):
            return directory
    return None


def split_in(path: PurePosixPath) -> Split | None:
    """Return the split that a path's folders or file name tell, such as `train/a.jpg` or `instances_val2017.json`."""
    for part in reversed(path.parts):
        words = "".join(c if c.isalpha() else " " for c in part.lower()).split()
        for word in words:
            if word in _FOLDER_NAMES:
                return _FOLDER_NAMES[word]
    return None


def _names(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path} can't be read: {error}") from error
    # VOC's lists for one class have a second column; some lists give whole paths, with a suffix
    entries = (line.split()[0] for line in lines if line.strip())
    return [_without_image_suffix(entry) for entry in entries]


def _without_image_suffix(entry: str) -> str:
    stem, dot, suffix = entry.rpartition(".")
    return stem if dot and suffix.lower() in ("jpg", "jpeg", "png", "bmp", "webp", "tif", "tiff", "xml") else entry
