"""Finding images and videos on disk."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
VIDEO_SUFFIXES = {".mp4", ".avi", ".mov", ".mkv", ".webm"}


def images_below(folder: Path) -> Iterator[Path]:
    """Yield the image files below a folder, by path."""
    return _files_below(folder, SUFFIXES)


def videos_below(folder: Path) -> Iterator[Path]:
    """Yield the video files below a folder, by path."""
    return _files_below(folder, VIDEO_SUFFIXES)


def name_of(path: Path, folder: Path) -> str:
    """Return an image's name: its path below `folder` without the suffix."""
    return str(PurePosixPath(path.relative_to(folder)).with_suffix(""))


def _files_below(folder: Path, suffixes: Collection[str]) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        # "._photo.jpg" is what macOS leaves beside photo.jpg in archives
        if path.suffix.lower() in suffixes and not path.name.startswith("._") and path.is_file():
            yield path
