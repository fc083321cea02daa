"""Images as they come in: the header is judged before anything is decoded."""

from __future__ import annotations

import io
import struct
import warnings

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from inference.engine.geometry import ImageLimits, Pixels, Size
from labelstream import png
from labelstream.errors import Rejected

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
_WEBP_ANIMATED = 0x02  # in the flags of its extended header
_TILE_WIDTH, _TILE_LENGTH = 322, 323  # TIFF tags: a decoder allocates whole tiles

warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # strangers' damaged tags are no news of ours
Image.MAX_IMAGE_PIXELS = None  # only headers are read with Pillow, and `ImageLimits` judges them


def run_single_threaded() -> None:
    """Keep OpenCV from starting threads of its own: requests run side by side already."""
    cv2.setNumThreads(1)


def decode(data: bytes, limits: ImageLimits) -> Pixels:
    """Return an image (height, width, 3) BGR, turned as its EXIF orientation says.

    Raises Rejected when it is too large, no image of a known format, or damaged.
    """
    limits.check_bytes(len(data))
    if not data:
        raise Rejected("image.empty", "the image has no bytes", "Send the file's content as the body or as `image`.")
    size = _header(data)
    limits.check_pixels(size.width, size.height)
    if data.startswith(png.SIGNATURE) and not png.is_whole(data):
        raise _damaged("a chunk is longer than the file, or the last one is missing")
    if _is_animated(data):  # the decoder would put all of it together, in several times the memory
        raise Rejected("image.animated", "the file holds more than one picture", "Send one picture.")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise _damaged(error.err) from error
    if image is None:
        raise _damaged("the decoder gave nothing back")
    pixels: Pixels = image
    return pixels


def _header(data: bytes) -> Size:
    """Return the pixels that decoding would take, read from the header alone."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            tags = getattr(image, "tag_v2", {})  # read only now, and of whatever type the file says
            tile_width, tile_length = int(tags.get(_TILE_WIDTH, 0)), int(tags.get(_TILE_LENGTH, 0))
    except UnidentifiedImageError as error:
        raise Rejected(
            "image.unknown_format",
            "the content is not an image of a known format",
            f"Send one of {', '.join(FORMATS)}.",
        ) from error
    except (OSError, EOFError, ValueError, ArithmeticError, SyntaxError, TypeError, LookupError, struct.error) as error:
        # What Pillow's readers raise for headers that contradict themselves.
        raise _damaged(str(error)) from error
    return Size(max(width, tile_width), max(height, tile_length))


def _is_animated(data: bytes) -> bool:
    if data.startswith(png.SIGNATURE):
        return b"acTL" in png.chunks(data)
    return data[8:16] == b"WEBPVP8X" and bool(data[20] & _WEBP_ANIMATED)


def _damaged(reason: str) -> Rejected:
    return Rejected("image.damaged", f"the image can't be decoded: {reason}", "Save it again and send the new file.")
