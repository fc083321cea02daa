"""From one annotated image to its variants. Runs in a worker process."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import cv2
import imagehash
import numpy as np
import simplejpeg
from PIL import Image

from augmenter.boxes import Minimum, settle
from augmenter.composing import composed, seeded
from augmenter.recipe import Group, Recipe
from augmenter.rendering import Modes, Rendered, Rendering
from labelstream import png
from labelstream.errors import Rejected
from labelstream.events.annotation import ImageRef
from labelstream.labels import Shape

Pixels = np.ndarray[Any, Any]  # (height, width, 3) RGB uint8


def render(encoded: bytes, image: ImageRef, shapes: tuple[Shape, ...], recipe: Recipe, modes: Modes) -> Rendering:
    """Return the recipe's variants, as JPEG, and the perceptual hash of the original.

    Boxes refer to the image after its EXIF orientation, and so do the variants' pixels. Raises
    Rejected for an image that can't be read as it was recorded.
    """
    try:
        pixels = _decode(encoded, image)
        groups = [group for group in recipe.variants for _ in range(group.count)]
        made = tuple(
            _Variant(recipe, group, modes, seed(image.sha256, recipe.digest, number)).of(pixels, shapes)
            for number, group in enumerate(groups, 1)
        )
        return Rendering(made, _phash(pixels))
    except (cv2.error, ValueError) as error:  # such as too many pixels
        raise Rejected("image.untransformable", f"{error}", "Send it again under another name.") from error


def seed(image: str, recipe: str, variant: int) -> int:
    """Derive a variant's seed (32 bits) from the image's digest, the recipe's digest and its number."""
    return int.from_bytes(hashlib.sha256(f"{image} {recipe} {variant}".encode()).digest()[:4])


@dataclass(frozen=True)
class _Variant:
    recipe: Recipe
    group: Group
    modes: Modes
    seed: int

    def of(self, pixels: Pixels, shapes: tuple[Shape, ...]) -> Rendered:
        """Draw what is done, and do it to the pixels and the boxes."""
        compose = seeded(composed(self.group, self.recipe.min_box_visible), self.seed)
        corners = np.array([one.corners() for one in shapes], np.float64).reshape(-1, 4)  # (n, 4) xyxy, fractions
        done = compose(image=pixels, bboxes=corners, rows=np.arange(len(shapes)))
        least = Minimum(self.recipe.min_box_area_percent / 100, self.recipe.min_box_side)
        placed = zip(done["rows"], done["bboxes"], strict=True)
        boxes = (settle(self._class(shapes[int(row)].class_id), corners, least) for row, corners in placed)
        return Rendered(self._encoded(done["image"]), tuple(box for box in boxes if box is not None))

    def _class(self, class_id: int) -> int:
        if not self.recipe.follow_modes or self.group.mode is None:
            return class_id
        return self.modes.get((class_id, self.group.mode.casefold()), class_id)

    def _encoded(self, pixels: Pixels) -> bytes:
        subsampling = str(self.recipe.jpeg_subsampling)
        return bytes(
            simplejpeg.encode_jpeg(pixels, self.recipe.jpeg_quality, colorspace="RGB", colorsubsampling=subsampling)
        )


def _decode(encoded: bytes, image: ImageRef) -> Pixels:  # oriented
    pixels = _decode_fast(encoded) if image.format == "jpeg" else None
    broken = encoded.startswith(png.SIGNATURE) and not png.is_whole(encoded)  # then OpenCV must not see it
    if pixels is None and not broken:
        pixels = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)
    if pixels is None:
        raise Rejected("image.unreadable", "the image can't be decoded", "Send it again under another name.")
    height, width = pixels.shape[:2]
    if (width, height) != (image.width, image.height):
        raise Rejected(
            "image.size",
            f"the image has {width}×{height} pixels, not {image.width}×{image.height} as recorded",
            "Send it again under another name.",
        )
    return pixels


def _decode_fast(encoded: bytes) -> Pixels | None:
    """Decode a JPEG in half of OpenCV's time, to the same pixels; None where OpenCV must: EXIF, damage."""
    if b"Exif" in encoded:
        return None
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(encoded, colorspace="RGB")
    except ValueError:  # what it takes for damage, or colours that it does not convert
        return None
    return pixels


def _phash(pixels: Pixels) -> str:
    """Hash what an image looks like; reduced first, for the hash looks at 32×32 pixels of it anyway."""
    small = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (128, 128), interpolation=cv2.INTER_AREA)
    return str(imagehash.phash(Image.fromarray(small)))
