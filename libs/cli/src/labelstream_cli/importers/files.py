"""Finding images on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}


def images_below(folder: Path) -> Iterator[Path]:
    """Yield the image files below a folder, by path."""
    yield from sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def name_of(path: Path, folder: Path) -> str:
    """Return an image's name: its path below `folder` without the suffix."""
    return str(PurePosixPath(path.relative_to(folder)).with_suffix(""))
