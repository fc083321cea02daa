"""From a group of a recipe to what albumentations does for it.

What the library does well it does. Six kinds are ours, small transforms that its generator governs like its own: it has
nothing like them, or takes about 5 to 100 times as long (`light.py` and `weather.py` say how long each).
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from augmenter import light, weather
from augmenter import transforms as kinds
from augmenter.lean import albumentations as A  # noqa: N812  # its users' custom
from augmenter.recipe import Group

_ROUNDING = 1e-6  # the library's share of a box that is wholly visible is a hair less than 1
# A box that was pushed outside is clipped to an area of 0 at the border, which the library would keep, and then refuse.
_LEAST_AREA = 1e-4  # pixels


@functools.lru_cache(maxsize=128)
def composed(group: Group, min_visible: float) -> A.Compose:
    """Return what makes a variant of `image`, its `bboxes` ((n, 4) xyxy, fractions) and their `rows`.

    Call `seeded` before each image. Boxes come back clipped, without those of which the border left less
    than the share `min_visible`.
    """
    affines = sum(isinstance(one, kinds.Affine) for one in group.transforms)
    boxes = A.BboxParams(
        format="albumentations",
        label_fields=["rows"],
        min_area=_LEAST_AREA,
        min_visibility=max(0.0, min_visible - _ROUNDING),
        clip=True,
        filter_invalid_bboxes=True,
        check_each_transform=affines > 1,  # what one pushed outside, another must not bring back; else once is enough
    )
    built = [_BUILT[type(one)](one) for one in group.transforms]
    return A.Compose([A.NoOp(), *built], bbox_params=boxes)  # without one for boxes it warns


def seeded(compose: A.Compose, number: int) -> A.Compose:
    """Return it, set to draw from `number`, whatever it did before.

    Its set_random_seed starts each transform at the same place: all would draw the same, and of the default recipe's
    variants 20 % would be the bare original, not 2.6 %. Here they draw in turn from one place.
    """
    compose.set_random_state(np.random.default_rng(number), random.Random(number))
    return compose


def _affine(one: kinds.Affine) -> A.Affine:
    angles, shifts = (-one.shear_deg, one.shear_deg), (-one.shift, one.shift)
    return A.Affine(
        scale=one.scale,
        rotate=(-one.rotate_deg, one.rotate_deg),
        shear={"x": angles, "y": angles},
        translate_percent={"x": shifts, "y": shifts},
        keep_ratio=True,
        rotate_method="ellipse" if one.boxes_around == "ellipse" else "largest_box",
        p=one.p,
    )


def _flip(one: kinds.Flip) -> A.BasicTransform:
    return A.HorizontalFlip(p=one.p) if one.axis == "horizontal" else A.VerticalFlip(p=one.p)


def _brightness_contrast(one: kinds.BrightnessContrast) -> A.RandomBrightnessContrast:
    return A.RandomBrightnessContrast(brightness_limit=one.brightness, contrast_limit=one.contrast, p=one.p)


def _hue_saturation(one: kinds.HueSaturation) -> A.HueSaturationValue:
    return A.HueSaturationValue(one.hue, one.saturation, one.value, p=one.p)


def _motion_blur(one: kinds.MotionBlur) -> A.MotionBlur:
    # What is shifted or one-sided, its defaults, moves things away from their boxes.
    return A.MotionBlur(one.pixels, allow_shifted=False, direction_range=(0, 0), p=one.p)


def _compression(one: kinds.Compression) -> A.ImageCompression:
    return A.ImageCompression(quality_range=one.quality, p=one.p)


_BUILT: Mapping[type[kinds.Transform], Callable[[Any], A.BasicTransform]] = {
    kinds.Flip: _flip,
    kinds.Affine: _affine,
    kinds.BrightnessContrast: _brightness_contrast,
    kinds.HueSaturation: _hue_saturation,
    kinds.MotionBlur: _motion_blur,
    kinds.Compression: _compression,
    kinds.Rain: weather.Rain,
    kinds.Noise: light.Noise,
    kinds.Shadow: light.Shadow,
    kinds.Glare: light.Glare,
    kinds.Snow: weather.Snow,
    kinds.Fog: weather.Fog,
    kinds.Night: weather.Night,
}
