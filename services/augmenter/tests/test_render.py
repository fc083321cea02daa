from __future__ import annotations

import resource
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st

from augmenter.recipe import Recipe, load_recipe, parse_recipe, shipped
from augmenter.render import render, seed
from augmenter.rendering import Rendering
from augmenter.transforms import KINDS, kind_of
from labelstream.errors import Rejected
from labelstream.events.annotation import ImageRef
from labelstream.labels import Box, yolo_lines

Pixels = np.ndarray[Any, Any]
FLIP = "name: f\nvariants: [{count: 2, transforms: [{kind: flip, p: 1}]}]\n"


def _pixels(encoded: bytes) -> Pixels:
    return cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)


def _reference(width: int, height: int, digest: str = "0" * 64) -> ImageRef:
    return ImageRef(key="k", sha256=digest, size_bytes=1, format="jpeg", width=width, height=height)


def test_a_recipe_makes_its_variants_as_images_of_the_original_s_size(scene: Any, recipe: Recipe) -> None:
    drawn = scene(3)
    made = render(drawn.encoded, drawn.image, drawn.shapes, recipe, {})
    assert len(made.variants) == 7
    assert all(_pixels(one.image).shape == (120, 160, 3) for one in made.variants)
    assert render(drawn.encoded, drawn.image, drawn.shapes, load_recipe("none"), {}).variants == ()


def test_the_same_image_and_recipe_give_the_same_bytes_whatever_came_before(scene: Any) -> None:
    """Two images in turn, with every recipe in turn, in two orders."""
    scenes, recipes = [scene(4), scene(5)], [load_recipe(name) for name in shipped()]

    def made(drawn: Any, recipe: Recipe) -> Rendering:
        return render(drawn.encoded, drawn.image, drawn.shapes, recipe, {})

    there = {(s.encoded, r.name): made(s, r) for s in scenes for r in recipes}
    back = {(s.encoded, r.name): made(s, r) for r in reversed(recipes) for s in reversed(scenes)}
    assert there == back
    default = there[scenes[0].encoded, "default"].variants
    assert len({one.image for one in default}) > 5


def test_a_variant_does_not_depend_on_how_many_others_there_are(scene: Any, recipe: Recipe) -> None:
    """But on the recipe's digest, so the first two of another recipe are others."""
    drawn = scene(4)
    text = "name: {}\nvariants: [{{count: 3, transforms: [{{kind: affine, p: 1}}]}}]\n"
    one, other = (
        render(drawn.encoded, drawn.image, drawn.shapes, parse_recipe(text.format(name), "r"), {}) for name in "ab"
    )
    assert {made.image for made in one.variants}.isdisjoint(made.image for made in other.variants)


def test_each_transform_is_drawn_for_itself() -> None:
    """Two mirrors of p 0.5 give all four images, each in a quarter of the variants."""
    text = (
        "name: q\nvariants: [{count: 99, transforms: [{kind: flip, p: 0.5}, {kind: flip, p: 0.5, axis: vertical}]}]\n"
    )
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:8, :8] = 255
    encoded = simplejpeg.encode_jpeg(pixels, 95, "BGR")
    counts = np.zeros((2, 2))
    for number in range(4):
        made = render(encoded, _reference(16, 16, f"{number:064}"), (), parse_recipe(text, "q"), {})
        for one in made.variants:
            counts += _pixels(one.image)[4::8, 4::8, 0] > 128
    assert counts.min() > 70
    assert counts.sum() == 4 * 99


def test_the_pixels_do_not_depend_on_the_labels(scene: Any, recipe: Recipe) -> None:
    drawn = scene(4)
    with_box = render(drawn.encoded, drawn.image, drawn.shapes, recipe, {})
    without = render(drawn.encoded, drawn.image, (), recipe, {})
    assert [made.image for made in with_box.variants] == [made.image for made in without.variants]
    assert all(made.shapes == () for made in without.variants)
    assert with_box.phash == without.phash


def test_a_seed_follows_image_recipe_and_variant() -> None:
    assert seed("a", "r", 1) == seed("a", "r", 1)
    assert len({seed("a", "r", 1), seed("a", "r", 2), seed("a", "s", 1), seed("b", "r", 1)}) == 4


def test_similar_images_have_similar_hashes_and_others_do_not(image_ref: Any) -> None:
    """The hash is of what is seen: poorer JPEG, or half the size, change it little."""

    def hashed(pixels: Pixels, quality: int) -> int:
        encoded = simplejpeg.encode_jpeg(pixels, quality, "BGR")
        height, width = pixels.shape[:2]
        return int(
            render(encoded, image_ref(encoded, width=width, height=height), (), load_recipe("none"), {}).phash, 16
        )

    rng = np.random.default_rng(1)
    one, other = (
        cv2.resize(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC)
        for _ in range(2)
    )
    first = hashed(one, 95)
    assert (first ^ hashed(one, 30)).bit_count() <= 4
    assert (first ^ hashed(cv2.resize(one, (160, 120), interpolation=cv2.INTER_AREA), 95)).bit_count() <= 4
    assert (first ^ hashed(other, 95)).bit_count() > 16


def test_an_image_is_turned_as_its_exif_says_before_anything_else(image_ref: Any) -> None:
    pixels = np.zeros((120, 160, 3), np.uint8)
    pixels[60:, 80:] = (30, 230, 30)  # lower right; turned by 90° clockwise it is lower left
    jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    turned = jpeg.tobytes()[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2) + exif + jpeg.tobytes()[2:]
    image = image_ref(turned, width=120, height=160)
    flip = parse_recipe(FLIP, "f")
    variant = render(turned, image, (Box.from_corners(0, 0, 0.5, 0.5, 1),), flip, {}).variants[0]
    (box,) = variant.shapes
    green = _pixels(variant.image)
    assert green.shape[:2] == (160, 120)
    assert box.corners() == pytest.approx((0.5, 0.5, 1, 1))
    assert (green[100:150, 70:110, 1] > 180).all()
    assert (green[100:150, 10:50, 1] < 80).all()
    with pytest.raises(Rejected, match=r"image\.size"):
        render(turned, image_ref(turned, width=160, height=120), (), flip, {})


def test_a_jpeg_is_decoded_to_the_pixels_that_opencv_sees(image_ref: Any) -> None:
    """Grey ones, and each form of colours, through the faster decoder; a quality of 100 shows what was decoded."""
    ground = cv2.resize(np.random.default_rng(2).integers(0, 256, (9, 12, 3), dtype=np.uint8), (160, 120))
    same = parse_recipe("name: s\njpeg_quality: 100\njpeg_subsampling: 444\nvariants: [{count: 1}]\n", "s")
    encoded = [simplejpeg.encode_jpeg(ground, 90, "BGR", colorsubsampling=form) for form in ("444", "422", "420")]
    encoded.append(simplejpeg.encode_jpeg(ground[..., :1].copy(), 90, "GRAY"))
    for jpeg in encoded:
        (variant,) = render(jpeg, image_ref(jpeg), (), same, {}).variants
        off = cv2.absdiff(_pixels(variant.image), _pixels(jpeg))
        assert off.max() <= 3
        assert off.mean() < 0.7


def test_a_jpeg_that_lost_its_end_is_refused(scene: Any, image_ref: Any) -> None:
    cut = scene(1).encoded[:-400]
    with pytest.raises(Rejected, match=r"image\.unreadable"):
        render(cut, image_ref(cut), (), parse_recipe(FLIP, "f"), {})


def test_bytes_that_are_no_image_are_refused(image_ref: Any, recipe: Recipe) -> None:
    with pytest.raises(Rejected, match=r"image\.unreadable"):
        render(b"no image", image_ref(b"no image"), (), recipe, {})


def test_a_png_that_promises_more_than_it_has_is_refused_before_memory_is_taken_for_it(
    image_ref: Any, recipe: Recipe
) -> None:
    png = cv2.imencode(".png", np.zeros((120, 160, 3), np.uint8))[1].tobytes()
    assert len(render(png, image_ref(png), (), recipe, {}).variants) == 7
    at = png.index(b"IDAT") - 4
    huge = png[:at] + (0x7000_0000).to_bytes(4) + png[at + 4 :]
    before = _peak_kb()
    with pytest.raises(Rejected, match=r"image\.unreadable"):
        render(huge, image_ref(huge), (), recipe, {})
    assert _peak_kb() - before < 500_000


def _peak_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_boxes_at_the_very_border_do_not_stop_a_variant(scene: Any, recipe: Recipe) -> None:
    drawn = scene(6)
    shapes = (Box.from_corners(0, -1e-6, 0, 1.000001, 1), Box(class_id=1, x=0.5, y=0.5, w=0, h=0.2))
    made = render(drawn.encoded, drawn.image, shapes, recipe, {})
    assert all([box.class_id for box in one.shapes] == [0] for one in made.variants)


@pytest.mark.parametrize(
    ("minimum", "kept", "dropped"),
    [("min_box_area_percent", 9.3, 9.5), ("min_box_side", 0.24, 0.26), ("min_box_visible", 1.0, None)],
)
def test_a_box_below_a_minimum_leaves_a_variant(
    scene: Callable[..., Any], minimum: str, kept: float, dropped: float | None
) -> None:
    drawn = scene(7)  # its box is 0.25 × 0.375: 9.375 % of the image
    for value, expected in ((kept, 1), (dropped, 0)):
        if value is not None:
            recipe = parse_recipe(f"{FLIP}{minimum}: {value}\n", "m")
            made = render(drawn.encoded, drawn.image, drawn.shapes, recipe, {})
            assert [len(one.shapes) for one in made.variants] == [expected] * 2


def test_a_box_that_the_border_cuts_stays_while_enough_of_it_is_visible(scene: Callable[..., Any]) -> None:
    drawn = scene(7, (0.0, 0.25, 0.25, 0.75))  # zoomed twice around the centre, all of it is outside but an edge
    text = "name: z\nmin_box_visible: {}\nvariants: [{{count: 1, transforms: [{{kind: affine, p: 1, scale: [{s}, {s}], "
    text += "rotate_deg: 0, shear_deg: 0}}]}}]\n"
    shapes = (Box.from_corners(0, 0.0, 0.25, 0.5, 0.75),)  # half of it stays inside
    for least, zoom, expected in ((0.45, 2, 1), (0.55, 2, 0), (0.99, 1, 1)):
        recipe = parse_recipe(text.format(least, s=zoom), "z")
        (made,) = render(drawn.encoded, drawn.image, shapes, recipe, {}).variants
        assert len(made.shapes) == expected


def test_what_one_transform_cut_off_is_not_in_the_box_of_the_next(scene: Callable[..., Any]) -> None:
    text = "name: t\nvariants: [{count: 1, transforms: ["
    for zoom in (2, 0.5):
        text += f"{{kind: affine, p: 1, scale: [{zoom}, {zoom}], rotate_deg: 0, shear_deg: 0}}, "
    drawn = scene(7, (0.0, 0.25, 0.5, 0.75))
    shapes = (Box.from_corners(0, 0.0, 0.25, 0.5, 0.75), Box.from_corners(1, 0, 0, 0.2, 0.2))
    (made,) = render(drawn.encoded, drawn.image, shapes, parse_recipe(text + "]}]\n", "t"), {}).variants
    (box,) = made.shapes
    assert box.corners() == pytest.approx((0.25, 0.25, 0.5, 0.75), abs=1e-5)


MODES = {(0, "wint"): 20, (1, "wint"): 21, (0, "night"): 40}
FOLLOWING = """
name: m
follow_modes: true
variants:
  - {count: 1}
  - {count: 1, mode: WINT}
  - {count: 1, mode: Night}
  - {count: 1, mode: Dusk}
"""


def test_classes_follow_the_mode_of_their_group_where_there_is_such_a_class(scene: Any) -> None:
    drawn = scene(8)
    shapes = tuple(Box(class_id=number, x=0.5, y=0.5, w=0.2, h=0.2) for number in (0, 1, 20))
    made = render(drawn.encoded, drawn.image, shapes, parse_recipe(FOLLOWING, "m"), MODES)
    classes = [[box.class_id for box in one.shapes] for one in made.variants]
    assert classes == [[0, 1, 20], [20, 21, 20], [40, 1, 20], [0, 1, 20]]
    plain = render(drawn.encoded, drawn.image, shapes, parse_recipe(FLIP, "f"), MODES)
    assert [[box.class_id for box in one.shapes] for one in plain.variants] == [[0, 1, 20]] * 2


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    """Any kinds in any order, with their default strengths."""
    kinds = draw(st.lists(st.sampled_from([kind_of(kind) for kind in KINDS]), max_size=5))
    transforms = [{"kind": kind, "p": draw(st.sampled_from([0.5, 1]))} for kind in kinds]
    data = {
        "name": "any",
        "jpeg_quality": draw(st.integers(1, 100)),
        "jpeg_subsampling": draw(st.sampled_from([444, 422, 420])),
        "min_box_area_percent": draw(st.sampled_from([0, 0.01, 1])),
        "variants": [{"count": draw(st.integers(1, 3)), "transforms": transforms}],
    }
    return Recipe.model_validate(data)


unit = st.floats(0, 1)
boxes = st.builds(Box.from_corners, st.just(0), unit, unit, unit, unit)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([load_recipe(name) for name in shipped()]) | recipes(), st.lists(boxes, max_size=4), st.data())
def test_every_box_of_every_variant_lies_in_the_image_whatever_the_recipe_and_the_size(
    recipe: Recipe, shapes: list[Box], data: st.DataObject
) -> None:
    width, height = data.draw(st.integers(1, 70)), data.draw(st.integers(2, 70))  # RandomRain needs two rows
    pixels = np.random.default_rng(width * 71 + height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    made = render(simplejpeg.encode_jpeg(pixels, 90, "BGR"), _reference(width, height), tuple(shapes), recipe, {})
    assert len(made.variants) == recipe.count
    for one in made.variants:
        assert _pixels(one.image).shape == (height, width, 3)
        for line in yolo_lines(one.shapes).splitlines():  # as it is stored
            x, y, w, h = (round(float(value) * 1_000_000) for value in line.split()[1:])
            assert min(w, h) > 0
            assert min(2 * x - w, 2 * y - h) >= 0
            assert max(2 * x + w, 2 * y + h) <= 2_000_000
