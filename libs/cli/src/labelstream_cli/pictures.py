"""Pictures from files, and boxes drawn into them."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from labelstream_cli.running import CommandFailed
from labelstream_datasets.pictures import Marked, colour_of, draw

__all__ = ["Marked", "colour_of", "draw", "open_picture"]


def open_picture(path: Path) -> Image.Image:
    """Open an image as it is to be seen, its EXIF orientation applied. Raises CommandFailed."""
    try:
        with Image.open(path) as opened:
            turned = ImageOps.exif_transpose(opened)
            return turned.convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        raise CommandFailed(f"{path} can't be read as an image: {error}") from error
