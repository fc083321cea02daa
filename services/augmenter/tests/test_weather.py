"""What the transforms do to pixels, on a flat or soft ground where it can be told."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from augmenter import light
from augmenter.composing import composed, seeded
from augmenter.recipe import Group
from augmenter.transforms import (
    KINDS,
    Affine,
    BrightnessContrast,
    Flip,
    Fog,
    Glare,
    HueSaturation,
    MotionBlur,
    Night,
    Rain,
    Shadow,
    Snow,
    kind_of,
)

Pixels = np.ndarray[Any, Any]
WIDTH, HEIGHT = 320, 240


def _ground(number: int = 0) -> Pixels:
    coarse = np.random.default_rng(number).integers(60, 180, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def _flat(value: int = 120) -> Pixels:
    return np.full((HEIGHT, WIDTH, 3), value, np.uint8)


def _grey(pixels: Pixels) -> Pixels:
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(float)


def _saturation(pixels: Pixels) -> float:
    return float(cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)[..., 1].mean())


def _made(pixels: Pixels, said: Any, number: int = 1) -> Pixels:
    """Do what a transform says, drawn from the seed `number`, as a variant has it done."""
    compose = seeded(composed(Group(count=1, transforms=(said,)), 0), number)
    return compose(image=pixels, bboxes=np.zeros((0, 4)), rows=np.zeros(0))["image"]


ALL = [kind.model_validate({"kind": kind_of(kind), "p": 1}) for kind in KINDS if kind not in {Flip, Affine}]
NAMES = [kind_of(type(said)) for said in ALL]


@pytest.mark.parametrize("said", ALL, ids=NAMES)
def test_a_transform_changes_a_copy_the_same_way_for_the_same_seed(said: Any) -> None:
    ground = _ground()
    before = ground.copy()
    one, other, same = (_made(ground, said, number) for number in (1, 2, 1))
    assert np.array_equal(ground, before)
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert not np.array_equal(one, ground)
    assert one.shape == ground.shape
    assert one.dtype == np.uint8


@pytest.mark.parametrize("said", ALL, ids=NAMES)
@pytest.mark.parametrize("size", [(2, 1), (90, 1), (2, 3), (17, 16), (1500, 2), (2, 1500)], ids=str)
def test_a_transform_takes_images_of_any_size_from_two_rows(said: Any, size: tuple[int, int]) -> None:
    assert _made(np.full((*size, 3), 90, np.uint8), said).shape == (*size, 3)


def test_snow_whitens_the_brightest_share_and_leaves_what_is_dark() -> None:
    ground = np.concatenate([_flat(40)[:, :160], _flat(150)[:, 160:]], axis=1)
    drawn = Snow(kind="snow", p=1, cover=(0.4, 0.4), flakes=(0, 0))
    snowy = _grey(_made(ground, drawn))
    assert snowy[:, 160:].mean() > 200
    assert snowy[:, :140].mean() < 90
    more = _grey(_made(ground, drawn.model_copy(update={"cover": (0.8, 0.8)})))
    assert more.mean() > snowy.mean() + 20


def test_flakes_are_specks_all_over_the_image() -> None:
    drawn = Snow(kind="snow", p=1, cover=(0, 0), flakes=(1, 1))
    still = _made(_flat(60), drawn.model_copy(update={"flakes": (0, 0)}))
    falling = _made(_flat(60), drawn)
    flakes = _grey(falling) - _grey(still) > 40
    assert 0.003 < flakes.mean() < 0.1
    assert all(quarter.any() for half in np.split(flakes, 2) for quarter in np.split(half, 2, axis=1))


def test_rain_falls_downwards_and_dims_what_is_behind_it() -> None:
    upright = _grey(_made(_flat(), Rain(kind="rain", p=1, fall="torrential", slant_px=0)))
    assert np.abs(np.diff(upright, axis=1)).mean() > 2 * np.abs(np.diff(upright, axis=0)).mean()
    heavy, drizzle = (
        _grey(_made(_flat(200), Rain(kind="rain", p=1, fall=fall, light=0.7))) for fall in ("heavy", "drizzle")
    )
    assert np.median(drizzle) == pytest.approx(140, abs=1)
    assert (heavy > 145).mean() > 2 * (drizzle > 145).mean() > 0.01


@pytest.mark.parametrize("by", [0.25, 0.5, 2], ids=["180", "360", "1440"])
def test_rain_scales_with_the_image(by: float) -> None:
    """The share of an image that streaks cover, and how wide they are of its width, are the same in any size."""

    def covered(height: int) -> tuple[float, float]:
        ground = np.full((height, height * 4 // 3, 3), 120, np.uint8)
        wet = _grey(_made(ground, Rain(kind="rain", p=1, slant_px=0, light=1))) > 121
        starts = (np.diff(wet.astype(int), axis=1) == 1).sum()
        return wet.mean(), wet.sum() / starts / wet.shape[1]

    (share, wide), (at_720, wide_at_720) = covered(round(720 * by)), covered(720)
    assert share == pytest.approx(at_720, rel=0.5)
    assert wide == pytest.approx(wide_at_720, rel=0.5)


def test_fog_takes_contrast_and_colour_more_the_denser_it_is() -> None:
    ground = _ground()
    thin, thick = (_made(ground, Fog(kind="fog", p=1, density=(density, density))) for density in (0.2, 0.7))
    fine = [np.abs(np.diff(_grey(pixels), axis=0)).mean() for pixels in (ground, thin, thick)]
    assert fine[0] > 1.1 * fine[1] > 1.5 * fine[2]
    assert _saturation(ground) > _saturation(thin) > _saturation(thick)
    assert _grey(thick).mean() > _grey(thin).mean() > _grey(ground).mean()


def test_night_is_dark_bluish_and_noisy() -> None:
    drawn = Night(kind="night", p=1, darkness=(0.6, 0.6), noise=(0, 0))
    dark = _made(_flat(), drawn)
    noisy = _made(_flat(), drawn.model_copy(update={"noise": (6, 6)}))
    red, _, blue = np.median(dark, axis=(0, 1))
    assert np.median(_grey(dark)) < 60
    assert blue > 1.2 * red
    assert np.diff(_grey(noisy), axis=1).std() > 4 * np.diff(_grey(dark), axis=1).std()


def test_noise_is_normal_and_as_strong_as_it_says() -> None:
    for coloured in (True, False):
        off = light.add_noise(_flat(128), 10, np.random.default_rng(1), coloured=coloured).astype(float) - 128
        assert off.std() == pytest.approx(10, rel=0.05)
        assert abs(off.mean()) < 0.2
        assert (np.abs(off) < 10).mean() == pytest.approx(0.66, abs=0.04)
        assert np.array_equal(off[..., 0], off[..., 1]) is not coloured


def test_hue_saturation_and_value_shift_as_far_as_said() -> None:
    """On a red of full clearness, where a hue means something."""
    red = np.full((8, 8, 3), (160, 70, 60), np.uint8)
    said = HueSaturation(kind="hue_saturation", p=1, hue=30, saturation=50, value=40)
    before = cv2.cvtColor(red, cv2.COLOR_RGB2HSV)[0, 0].astype(int)
    made = [cv2.cvtColor(_made(red, said, number), cv2.COLOR_RGB2HSV)[0, 0].astype(int) for number in range(150)]
    off = np.array(made) - before
    off[:, 0] = (off[:, 0] + 90) % 180 - 90  # a circle
    for column, most in enumerate((30, 50, 40)):
        assert -most - 3 <= off[:, column].min() < -0.85 * most
        assert 0.85 * most < off[:, column].max() <= most + 3


def test_brightness_and_contrast_reach_their_limits_and_no_further() -> None:
    drawn = BrightnessContrast(kind="brightness_contrast", p=1, brightness=0.2, contrast=0)
    shifts = [float(_made(_flat(), drawn, n).mean()) - 120 for n in range(200)]
    assert -51.5 <= min(shifts) < -45
    assert 45 < max(shifts) <= 51.5


def test_motion_blur_smears_along_a_line_and_keeps_the_brightness() -> None:
    dot = np.zeros((41, 41, 3), np.uint8)
    dot[20, 20] = 255
    drawn = MotionBlur(kind="motion_blur", p=1, pixels=(9, 9))
    for number in range(20):
        blurred = _made(dot, drawn, number)[..., 0].astype(float)
        rows, columns = np.nonzero(blurred)
        assert blurred.sum() == pytest.approx(255, rel=0.1)
        assert max(np.ptp(rows), np.ptp(columns)) >= 5
        middle = np.average(np.stack([rows, columns]), axis=1, weights=blurred[rows, columns])
        assert np.abs(middle - 20).max() < 0.6  # where its box is
        spread = np.linalg.eigvalsh(np.cov(rows, columns, aweights=blurred[rows, columns]))
        assert spread[0] < 0.2 * spread[1]


def test_a_shadow_and_a_low_sun_change_a_part_of_the_image() -> None:
    shaded = _grey(_made(_flat(), Shadow(kind="shadow", p=1, strength=(0.5, 0.5))))
    assert shaded.min() == pytest.approx(60, abs=2)
    assert shaded.max() == pytest.approx(120, abs=2)
    shone = _grey(_made(_flat(), Glare(kind="glare", p=1, strength=(0.6, 0.6))))
    assert shone.max() > 200
    assert shone.min() < 135
