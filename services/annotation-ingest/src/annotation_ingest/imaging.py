"""Looks at an image file. Runs in a child process: a C decoder may crash or hang on what it is given."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import ExifTags, Image

from labelstream import png

FORMATS = {"JPEG": "jpeg", "MPO": "jpeg", "PNG": "png", "WEBP": "webp", "TIFF": "tiff", "BMP": "bmp"}
EXTENSIONS = {"jpeg": "jpg"}  # where it is not the format's own name
ACCEPTED = "JPEG, PNG, WebP, TIFF or BMP"
TRANSPOSED = {5, 6, 7, 8}  # EXIF orientations that swap width and height


@dataclass(frozen=True)
class Picture:
    """What an image turned out to be."""

    format: str
    width: int  # pixels, after the EXIF orientation is applied
    height: int

    @property
    def extension(self) -> str:
        """The extension of its file name."""
        return EXTENSIONS.get(self.format, self.format)


@dataclass(frozen=True)
class Refusal:
    """A broken rule, in a form that travels between processes."""

    rule: str
    reason: str
    hint: str


def look(data: bytes, max_pixels: int) -> Picture | Refusal:
    """Decode an image whole, once its header promises no more than `max_pixels`."""
    Image.MAX_IMAGE_PIXELS = None  # the limit is ours
    if data.startswith(png.SIGNATURE) and not png.is_whole(data):
        return Refusal("image.undecodable", "the PNG file ends before its last chunk does", "Send the whole file.")
    try:
        with Image.open(io.BytesIO(data)) as image:
            return _decoded(image, max_pixels)
    except Exception as error:  # noqa: BLE001 - decoders raise whatever they like; any of it means: not decodable
        return Refusal(
            "image.undecodable",
            f"the image ({len(data)} bytes) can't be decoded: {type(error).__name__}",
            f"Send a whole {ACCEPTED} file.",
        )


def _decoded(image: Image.Image, max_pixels: int) -> Picture | Refusal:
    name = FORMATS.get(image.format or "")
    if name is None:
        return Refusal("image.format", f"the image is a {image.format} file", f"Convert it to {ACCEPTED}.")
    width, height = image.size
    if width * height > max_pixels:
        return Refusal(
            "image.pixels",
            f"the image has {width} x {height} pixels, {max_pixels} are allowed",
            "Scale it down or cut it into tiles.",
        )
    image.load()
    if image.getexif().get(ExifTags.Base.Orientation) in TRANSPOSED:
        width, height = height, width
    return Picture(name, width, height)
