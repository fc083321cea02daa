"""Whether boxes are where things are, told from pixels alone.

A dark marker fills its box on a bright ground. The same variant is rendered of the scene with the marker and of the
ground without it; where the two decoded pictures differ, there is the marker, whatever was done to both. No transform
is asked where it put anything.

How far off a box may be: a threshold at half the contrast finds an edge to half a pixel, where interpolation and JPEG
blur it over two. The tip of a turned ellipse, a pixel deep, is only a few pixels wide and may fall under the threshold,
and the tip of a rectangle's corner another pixel. Of thousands of drawn scenes ellipses were off by 0.4 pixels in
the middle and 1.1 at most, corners by 1.6 at most. Motion blur of 7 pixels thins a tip by up to 3 more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st

from augmenter.recipe import Recipe, load_recipe, shipped
from augmenter.render import render
from augmenter.transforms import Affine, MotionBlur
from labelstream.events.annotation import ImageRef
from labelstream.labels import Box

SLACK, CORNER_SLACK, BLUR_SLACK = 2.0, 2.5, 3.0  # pixels
LEAST_CONTRAST = 14  # of 255; with less, such as in a dark night, a marker is not looked for
Corners = tuple[float, float, float, float]  # x1, y1, x2, y2 in pixels
Pixels = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Scene:
    """A ground, and a marker on it that fills a box."""

    ground: Pixels  # (height, width, 3) BGR
    corners: Corners
    pointed: bool  # a rectangle, with corners; else an ellipse

    @property
    def box(self) -> Box:
        height, width = self.ground.shape[:2]
        x1, y1, x2, y2 = self.corners
        return Box.from_corners(0, x1 / width, y1 / height, x2 / width, y2 / height)

    def marked(self) -> Pixels:
        """Return the scene with its marker, drawn at four times the size and reduced."""
        height, width = self.ground.shape[:2]
        mask = np.zeros((height * 4, width * 4), np.uint8)
        x1, y1, x2, y2 = (round(value * 4) for value in self.corners)
        if self.pointed:
            mask[y1:y2, x1:x2] = 255
        else:
            rows, columns = np.mgrid[0 : height * 4, 0 : width * 4] + 0.5
            from_middle = ((columns - (x1 + x2) / 2) * 2 / (x2 - x1)) ** 2 + (
                (rows - (y1 + y2) / 2) * 2 / (y2 - y1)
            ) ** 2
            mask[from_middle <= 1] = 255
        share = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)[..., None] / 255
        return (self.ground * (1 - share) + np.array((60, 20, 25)) * share).astype(np.uint8)

    def variants(self, recipe: Recipe, name: str) -> list[tuple[Box | None, Pixels]]:
        """Return the marker's box on each variant, and how each pixel differs from the variant without the marker."""
        height, width = self.ground.shape[:2]
        image = ImageRef(key="i", sha256=name, size_bytes=1, format="jpeg", width=width, height=height)
        made = []
        with_it, without = (
            render(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), 98, "BGR"), image, shapes, recipe, {}).variants
            for pixels, shapes in ((self.marked(), (self.box,)), (self.ground, ()))
        )
        for one, bare in zip(with_it, without, strict=True):
            box = one.shapes[0] if one.shapes else None
            made.append((box, cv2.absdiff(_grey(one.image), _grey(bare.image))))
        return made


def _grey(encoded: bytes) -> Pixels:
    return cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_GRAYSCALE)


def _found(difference: Pixels) -> Corners | None:
    """Return where the marker is, in pixels; None where it differs too little to say."""
    contrast = float(np.percentile(difference, 99.8))
    if contrast < LEAST_CONTRAST:
        return None
    nearby = cv2.dilate(difference, np.ones((15, 15), np.uint8))  # a marker may lie half in a shadow
    seen = difference > np.maximum(nearby * 0.45, max(contrast * 0.15, 8))
    rows, columns = (np.flatnonzero(seen.sum(axis=axis) >= 2) for axis in (1, 0))  # a single pixel is a speck
    if not len(rows) or not len(columns):
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def _off(box: Box, found: Corners, size: tuple[int, int]) -> float:
    """Return by how many pixels a box and a marker disagree.

    Everything that is seen must be in the box. A box inside the image must also touch what is seen on all
    sides; one that the border cuts need not, for the rest of a cut ellipse fills less than the rest of its box.
    """
    x1, y1, x2, y2 = np.array(box.corners()) * (*size, *size)
    outside = max(x1 - found[0], y1 - found[1], found[2] - x2, found[3] - y2)
    if x1 > 0.5 and y1 > 0.5 and x2 < size[0] - 0.5 and y2 < size[1] - 0.5:
        return float(max(outside, np.abs(np.array(found) - (x1, y1, x2, y2)).max()))
    return float(outside)


def _ground(number: int, width: int, height: int) -> Pixels:
    rng = np.random.default_rng(number)
    coarse = rng.integers(130, 200, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)


@st.composite
def scenes(draw: st.DrawFn, *, pointed: bool) -> Scene:
    width, height = draw(st.integers(120, 200)), draw(st.integers(120, 200))
    w, h = draw(st.integers(16, width // 2)), draw(st.integers(16, height // 2))
    x, y = draw(st.integers(0, width - w)), draw(st.integers(0, height - h))
    return Scene(_ground(draw(st.integers(0, 99)), width, height), (x, y, x + w, y + h), pointed)


def _angle(most: float) -> st.SearchStrategy[float]:
    return st.floats(0, most)


@st.composite
def geometric_recipes(draw: st.DrawFn, *, pointed: bool) -> Recipe:
    p = st.floats(0, 1)
    flip = st.fixed_dictionaries({"kind": st.just("flip"), "p": p, "axis": st.sampled_from(["horizontal", "vertical"])})
    affine = st.fixed_dictionaries(
        {
            "kind": st.just("affine"),
            "p": st.just(1),
            "scale": st.tuples(st.floats(0.7, 1), st.floats(1, 1.4)),
            "rotate_deg": _angle(180),
            "shear_deg": _angle(20),
            "shift": st.floats(0, 0.3),
            "boxes_around": st.just("corners" if pointed else "ellipse"),
        }
    )
    transforms = draw(st.lists(st.one_of(flip, affine), min_size=1, max_size=3))
    affines = [one for one in transforms if one["kind"] == "affine"]
    for extra in affines[1:]:
        transforms.remove(extra)  # two zooms in a row can make the marker a speck
    group = {"count": 4, "transforms": transforms}
    return Recipe.model_validate({"name": "drawn", "jpeg_quality": 95, "min_box_area_percent": 0, "variants": [group]})


@pytest.mark.parametrize("pointed", [False, True], ids=["ellipse", "corners"])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_moved_marker_is_where_its_box_says(data: st.DataObject, pointed: bool) -> None:
    scene, recipe = data.draw(scenes(pointed=pointed)), data.draw(geometric_recipes(pointed=pointed))
    for box, difference in scene.variants(recipe, "f" * 64):
        found = _found(difference)
        if box is None:
            assert found is None, "a marker that can be seen has no box"
        elif found is not None:
            assert _off(box, found, difference.shape[::-1]) <= (CORNER_SLACK if pointed else SLACK)


@pytest.mark.parametrize("name", shipped())
def test_a_marker_is_where_its_box_says_in_every_shipped_recipe(name: str) -> None:
    recipe = load_recipe(name)
    scene = Scene(_ground(1, 240, 200), (70, 60, 130, 100), pointed=False)
    slack = SLACK + (BLUR_SLACK if _blurs(recipe) else 0)
    looked_for = seen = 0
    for number in range(6):
        for box, difference in scene.variants(recipe, f"{number:064}"):
            assert box is not None
            looked_for += 1
            found = _found(difference)
            if found is not None:
                seen += 1
                assert _off(box, found, (240, 200)) <= slack
    assert seen >= looked_for * 0.9


def _blurs(recipe: Recipe) -> bool:
    return any(isinstance(one, MotionBlur) for group in recipe.variants for one in group.transforms)


@pytest.mark.parametrize("by", [(4, 0, 4, 0), (0, -4, 0, -4), (0, 0, 4, 0), (-4, -4, 4, 4), (4, 4, -4, -4)])
def test_a_box_that_is_a_little_off_is_noticed(by: Corners) -> None:
    recipe = load_recipe("geometry")
    scene = Scene(_ground(2, 240, 200), (90, 70, 150, 110), pointed=False)
    noticed = 0
    for box, difference in scene.variants(recipe, "a" * 64):
        found = _found(difference)
        assert box is not None
        assert found is not None
        assert _off(box, found, (240, 200)) <= SLACK
        x1, y1, x2, y2 = np.array(box.corners()) * (240, 200, 240, 200) + by
        moved = Box.from_corners(0, x1 / 240, y1 / 200, x2 / 240, y2 / 200)
        noticed += _off(moved, found, (240, 200)) > SLACK
    assert noticed == recipe.count


def test_the_box_of_another_variant_is_noticed() -> None:
    made = Scene(_ground(3, 240, 200), (90, 70, 150, 110), pointed=False).variants(load_recipe("geometry"), "b" * 64)
    others = [*made[1:], made[0]]
    for (box, _), (_, difference) in zip(made, others, strict=True):
        found = _found(difference)
        assert box is not None
        assert found is not None
        assert _off(box, found, (240, 200)) > SLACK


def test_affine_boxes_are_tight_around_what_fills_them() -> None:
    """The ellipse's box, turned by 45°, is smaller than the box around the turned corners."""
    turned = {"kind": "affine", "p": 1, "scale": [1, 1], "rotate_deg": 45, "shear_deg": 0}
    sizes = {}
    for around in ("ellipse", "corners"):
        affine = Affine.model_validate({**turned, "boxes_around": around})
        recipe = Recipe.model_validate({"name": "t", "variants": [{"count": 9, "transforms": [affine]}]})
        scene = Scene(_ground(4, 200, 200), (80, 80, 120, 120), pointed=around == "corners")
        boxes = [box for box, _ in scene.variants(recipe, "c" * 64) if box is not None]
        sizes[around] = [box.w * 200 for box in boxes]
    assert sizes["ellipse"] == pytest.approx([40] * 9, abs=0.01)  # a circle stays one
    assert max(sizes["corners"]) > 48
