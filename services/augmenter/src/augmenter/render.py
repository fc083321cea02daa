"""From one annotated image to its original and variants. Runs in a worker process."""

from __future__ import annotations

import functools
import hashlib
from typing import Any

import cv2
import imagehash
import numpy as np
import simplejpeg
from PIL import Image

from augmenter import recipe as recipes
from augmenter.boxes import settle
from augmenter.lean import albumentations as A  # noqa: N812  # its users' custom
from augmenter.recipe import Recipe
from augmenter.rendering import Modes, Rendered, Rendering
from labelstream import png
from labelstream.errors import Rejected
from labelstream.events.annotation import ImageRef
from labelstream.labels import Box, Shape


def render(encoded: bytes, image: ImageRef, shapes: tuple[Shape, ...], recipe: Recipe, modes: Modes) -> Rendering:
    """Return the recipe's variants, as JPEG, and the perceptual hash of the original.

    Boxes refer to the image after its EXIF orientation, and so do the variants' pixels. Raises
    Rejected for an image that can't be read as it was recorded.
    """
    try:
        pixels = _decode(encoded, image)
        seeds = [seed(image.sha256, recipe.digest, number) for number in range(1, recipe.variants + 1)]
        made = tuple(_variant(pixels, shapes, recipe, number) for number in seeds)
        return Rendering(made, _phash(pixels))
    except (cv2.error, ValueError) as error:  # such as too many pixels
        raise Rejected("image.untransformable", f"{error}", "Send it again under another name.") from error


def seed(image: str, recipe: str, variant: int) -> int:
    """Derive a variant's seed (32 bits) from the image's digest, the recipe's digest and its number."""
    return int.from_bytes(hashlib.sha256(f"{image} {recipe} {variant}".encode()).digest()[:4])


def _decode(encoded: bytes, image: ImageRef) -> np.ndarray[Any, Any]:  # (height, width, 3) RGB uint8, oriented
    broken = encoded.startswith(png.SIGNATURE) and not png.is_whole(encoded)  # then OpenCV must not see it
    pixels = None if broken else cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)
    if pixels is None:
        raise Rejected("image.unreadable", "the image can't be decoded", "Send it again under another name.")
    height, width = pixels.shape[:2]
    if (width, height) != (image.width, image.height):
        raise Rejected(
            "image.size",
            f"the image has {width}×{height} pixels, not {image.width}×{image.height} as recorded",
            "Send it again under another name.",
        )
    return np.ascontiguousarray(pixels)


def _phash(pixels: np.ndarray[Any, Any]) -> str:
    """Hash what an image looks like; reduced first, for the hash looks at 32×32 pixels of it anyway."""
    small = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (128, 128), interpolation=cv2.INTER_AREA)
    return str(imagehash.phash(Image.fromarray(small)))


def _variant(pixels: np.ndarray[Any, Any], shapes: tuple[Shape, ...], recipe: Recipe, number: int) -> Rendered:
    compose = _compose(recipe)
    compose.set_random_seed(number)
    corners = np.array([s.corners() for s in shapes], np.float64).reshape(-1, 4)  # (n, 4) xyxy, fractions
    done = compose(image=pixels, bboxes=corners, rows=np.arange(len(shapes)))
    kept: list[Box] = []
    for (x1, y1, x2, y2), row in zip(done["bboxes"], done["rows"], strict=True):
        box = settle(shapes[int(row)].class_id, (x1, y1, x2, y2), recipe.min_box_area_percent / 100)
        if box is not None:
            kept.append(box)
    jpeg = simplejpeg.encode_jpeg(np.ascontiguousarray(done["image"]), quality=recipe.jpeg_quality, colorspace="RGB")
    return Rendered(jpeg, tuple(kept))


@functools.lru_cache(maxsize=4)
def _compose(recipe: Recipe) -> A.Compose:
    boxes = A.BboxParams(format="albumentations", label_fields=["rows"], clip=True, filter_invalid_bboxes=True)
    transforms = [_build(transform) for transform in recipe.transforms] or [A.NoOp()]
    return A.Compose(transforms, bbox_params=boxes)


def _build(transform: recipes.Transform) -> A.BasicTransform:
    match transform:
        case recipes.Flip():
            return A.HorizontalFlip(p=transform.p)
        case recipes.BrightnessContrast(brightness=brightness, contrast=contrast):
            return A.RandomBrightnessContrast(brightness_limit=brightness, contrast_limit=contrast, p=transform.p)
        case recipes.Affine(scale=scale, rotate_deg=rotate, shear_deg=shear, boxes_around=around):
            angles = (-shear, shear)
            return A.Affine(
                scale=scale,
                rotate=(-rotate, rotate),
                shear={"x": angles, "y": angles},
                keep_ratio=True,
                rotate_method="ellipse" if around == "ellipse" else "largest_box",
                p=transform.p,
            )
        case recipes.MotionBlur(pixels=pixels):
            return A.MotionBlur(blur_limit=pixels, p=transform.p)
        case recipes.HueSaturation(hue=hue, saturation=saturation, value=value):
            return A.HueSaturationValue(
                hue_shift_limit=hue, sat_shift_limit=saturation, val_shift_limit=value, p=transform.p
            )
