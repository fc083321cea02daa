"""The materialised dataset: a YOLO folder."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import yaml

from labelstream.values import SPLITS, Split
from labelstream_yolo.engine import EngineFailure


@dataclass(frozen=True)
class Folder:
    """A dataset's folder, checked: class names, and images in every split."""

    root: Path
    names: tuple[str, ...]
    images: dict[Split, int]
    digest: str  # of the names of the images and the content of the labels

    def write_description(self, path: Path) -> Path:
        """Write the description that ultralytics reads, with today's place of the folder."""
        content = {"path": str(self.root.resolve()), "names": dict(enumerate(self.names))}
        path.write_text(yaml.safe_dump(content | {split: f"{split}/images" for split in SPLITS}, allow_unicode=True))
        return path


def open_folder(root: Path) -> Folder:
    """Check the folder and describe it.

    Raises EngineFailure (`dataset-unreadable`, `dataset-empty`).
    """
    names = _names(root / "data.yaml")
    digest = hashlib.sha256(repr(names).encode())
    counts: dict[Split, int] = {}
    for split in SPLITS:
        images = _files(root / split / "images")
        if not images:
            raise EngineFailure("dataset-empty", f"there are no images in {root / split / 'images'}")
        counts[split] = len(images)
        digest.update(repr([split, [path.name for path in images]]).encode())
        for path in _files(root / split / "labels"):
            digest.update(path.name.encode() + path.read_bytes())
    return Folder(root, names, counts, digest.hexdigest())


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []


def _names(path: Path) -> tuple[str, ...]:
    try:
        names = yaml.safe_load(path.read_text())["names"]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise EngineFailure("dataset-unreadable", f"{path} does not give `names`: {error!r}") from error
    if isinstance(names, dict):
        names = [names[i] for i in sorted(names)]
    return tuple(map(str, names))
