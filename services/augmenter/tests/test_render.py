from __future__ import annotations

import resource
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augmenter.boxes import settle
from augmenter.recipe import Recipe, parse_recipe
from augmenter.render import render, seed
from labelstream.errors import Rejected
from labelstream.labels import Box, yolo_lines

SIZE = (160, 120)


def _green(encoded: bytes) -> np.ndarray[Any, Any]:  # (height, width) bool: where the marker is
    pixels = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB).astype(int)
    return (pixels[..., 1] > 140) & (pixels[..., 0] < 110) & (pixels[..., 2] < 110)


def _corners(box: Box) -> np.ndarray[Any, Any]:
    return np.array(box.corners()) * [*SIZE, *SIZE]


def _marker(encoded: bytes) -> np.ndarray[Any, Any]:
    rows, columns = np.nonzero(_green(encoded))
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


GEOMETRY = "name: g\nvariants: 25\njpeg_quality: 95\ntransforms:\n"


@pytest.mark.parametrize(
    ("transform", "slack"),
    [
        ("  - {kind: flip, p: 0.5}\n", 1.5),
        ("  - {kind: affine, p: 1, rotate_deg: 0, shear_deg: 0}\n", 2.0),
    ],
)
def test_a_box_lies_where_the_drawn_marker_lies(scene: Any, transform: str, slack: float) -> None:
    drawn = scene(1)
    for made in render(drawn.encoded, drawn.image, drawn.shapes, parse_recipe(GEOMETRY + transform, "g"))[1:]:
        (box,) = made.shapes
        assert np.abs(_corners(box) - _marker(made.image)).max() <= slack


def test_under_rotation_and_shear_the_box_encloses_the_marker(scene: Any) -> None:
    drawn = scene(2, (0.4, 0.4, 0.6, 0.6))
    recipe = parse_recipe(GEOMETRY + "  - {kind: affine, p: 1, boxes_around: corners}\n  - {kind: flip, p: 0.5}\n", "g")
    for made in render(drawn.encoded, drawn.image, drawn.shapes, recipe)[1:]:
        (box,) = made.shapes
        x1, y1, x2, y2 = _corners(box)
        left, top, right, bottom = _marker(made.image)
        assert x1 - 2 <= left
        assert y1 - 2 <= top
        assert right <= x2 + 2
        assert bottom <= y2 + 2


def test_the_original_keeps_its_bytes_and_its_labels(scene: Any, recipe: Recipe) -> None:
    drawn = scene(3)
    made = render(drawn.encoded, drawn.image, drawn.shapes, recipe)
    assert len(made) == 8
    assert made[0].image == drawn.encoded
    assert made[0].shapes == drawn.shapes


def test_the_same_image_and_recipe_give_the_same_bytes_whatever_came_before(scene: Any, recipe: Recipe) -> None:
    one, other = scene(4), scene(5)
    before = render(one.encoded, one.image, one.shapes, recipe)
    render(other.encoded, other.image, other.shapes, recipe)
    assert render(one.encoded, one.image, one.shapes, recipe) == before
    assert len({made.image for made in before}) > 5


def test_the_pixels_do_not_depend_on_the_labels(scene: Any, recipe: Recipe) -> None:
    drawn = scene(4)
    with_box = render(drawn.encoded, drawn.image, drawn.shapes, recipe)
    without = render(drawn.encoded, drawn.image, (), recipe)
    assert [made.image for made in with_box] == [made.image for made in without]
    assert all(made.shapes == () for made in without)


def test_a_seed_follows_image_recipe_and_variant() -> None:
    assert len({seed("a", "b", 1), seed("a", "b", 2), seed("b", "b", 1), seed("a", "a", 1)}) == 4


def test_boxes_refer_to_the_image_after_its_exif_orientation(image_ref: Any, recipe: Recipe) -> None:
    pixels = np.zeros((120, 160, 3), np.uint8)
    pixels[:60, 80:] = (30, 230, 30)  # top right as stored; orientation 6 turns it to the bottom right
    _, jpeg = cv2.imencode(".jpg", pixels[..., ::-1])
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    turned = jpeg.tobytes()[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2) + exif + jpeg.tobytes()[2:]
    image = image_ref(turned, width=120, height=160)
    flip = parse_recipe("name: f\nvariants: 1\ntransforms: [{kind: flip, p: 1}]\n", "f")
    variant = render(turned, image, (Box.from_corners(0, 0.5, 0.5, 1, 1),), flip)[1]
    (box,) = variant.shapes
    green = _green(variant.image)
    assert green.shape == (160, 120)
    assert box.corners() == pytest.approx((0, 0.5, 0.5, 1))
    assert green[100:150, 10:50].all()
    with pytest.raises(Rejected, match=r"image\.size"):
        render(turned, image_ref(turned, width=160, height=120), (), recipe)


def test_bytes_that_are_no_image_are_refused(image_ref: Any, recipe: Recipe) -> None:
    with pytest.raises(Rejected, match=r"image\.unreadable"):
        render(b"no image", image_ref(b"no image"), (), recipe)


def test_a_png_that_promises_more_than_it_has_is_refused_before_memory_is_taken_for_it(
    image_ref: Any, recipe: Recipe
) -> None:
    png = cv2.imencode(".png", np.zeros((120, 160, 3), np.uint8))[1].tobytes()
    assert len(render(png, image_ref(png), (), recipe)) == 8
    at = png.index(b"IDAT") - 4
    huge = png[:at] + (0x7000_0000).to_bytes(4) + png[at + 4 :]
    before = _peak_kb()
    with pytest.raises(Rejected, match=r"image\.unreadable"):
        render(huge, image_ref(huge), (), recipe)
    assert _peak_kb() - before < 500_000


def _peak_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_boxes_at_the_very_border_do_not_stop_a_variant(scene: Any, recipe: Recipe) -> None:
    drawn = scene(6)
    shapes = (Box.from_corners(0, -1e-6, 0, 1.000001, 1), Box(class_id=1, x=0.5, y=0.5, w=0, h=0.2))
    made = render(drawn.encoded, drawn.image, shapes, recipe)
    assert len(made) == 8


unit = st.floats(-0.5, 1.5)


@given(unit, unit, unit, unit, st.floats(0, 0.2))
def test_a_settled_box_never_leaves_the_image_nor_is_too_small(
    x1: float, y1: float, x2: float, y2: float, least: float
) -> None:
    box = settle(1, (x1, y1, x2, y2), least)
    if box is None:
        return
    _, x, y, w, h = (round(float(v) * 1_000_000) for v in yolo_lines([box]).split())
    assert w * h >= least * 1e12
    assert w > 0
    assert h > 0
    assert x - w // 2 >= 0
    assert y - h // 2 >= 0
    assert x + w // 2 <= 1_000_000
    assert y + h // 2 <= 1_000_000
    assert w % 2 == h % 2 == 0
    assert box == box.rounded()


def test_a_box_below_the_minimum_leaves_a_variant(scene: Callable[..., Any]) -> None:
    drawn = scene(7)
    text = "name: m\nvariants: 2\nmin_box_area_percent: {}\ntransforms: [{{kind: flip, p: 1}}]\n"
    area = 0.25 * 0.375 * 100
    kept = render(drawn.encoded, drawn.image, drawn.shapes, parse_recipe(text.format(area - 0.1), "m"))
    dropped = render(drawn.encoded, drawn.image, drawn.shapes, parse_recipe(text.format(area + 0.1), "m"))
    assert [len(made.shapes) for made in kept] == [1, 1, 1]
    assert [len(made.shapes) for made in dropped] == [1, 0, 0]
