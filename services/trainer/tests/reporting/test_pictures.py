from __future__ import annotations

import io

import numpy as np
from PIL import Image

from labelstream_datasets.pictures import colour_of
from trainer.reporting.pictures import MOST, SIDE, shots_of

NAMES = ("car", "truck", "person")


def pixels(jpeg: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"), np.int64)


def inked(line: np.ndarray, class_id: int) -> float:
    """The share of the pixels that have a class's colour."""
    return float((np.abs(line - colour_of(class_id)).max(axis=-1) < 90).mean())


def test_found_missed_and_false_boxes_differ_without_colour(contents) -> None:
    shots = shots_of([contents.picture(0)], contents.images, NAMES)
    (shot,) = shots.best
    picture = pixels(shot.jpeg)
    high, wide, _ = picture.shape
    assert (wide, high) == (SIDE, 240)
    found = picture[round(0.4 * high) - 1, round(0.1 * wide) : round(0.3 * wide)]
    missed = picture[round(0.4 * high) - 1, round(0.5 * wide) : round(0.7 * wide)]
    assert inked(found, 0) > 0.9
    assert 0.4 < inked(missed, 1) < 0.85
    middle = picture[round(0.75 * high) - 3 : round(0.75 * high) + 3, round(0.45 * wide) - 3 : round(0.45 * wide) + 3]
    assert inked(middle, 2) > 0.1  # the cross of a false box
    inside = picture[round(0.25 * high), round(0.15 * wide) : round(0.25 * wide)]
    assert inked(inside, 0) == 0
    assert shot.said == "1 of 2 boxes found, 1 missed, 1 false"


def test_half_of_the_images_are_the_best_and_half_the_worst(contents) -> None:
    results = [contents.picture(number) for number in range(40)]
    shots = shots_of(results, contents.images, NAMES)
    assert [shot.name for shot in shots.best] == [f"{number:03}.jpg" for number in range(MOST // 2)]
    assert [shot.name for shot in shots.worst] == [f"{39 - number:03}.jpg" for number in range(MOST // 2)]
    few = shots_of(results[:5], contents.images, NAMES)
    assert [shot.name for shot in (*few.best, *few.worst[::-1])] == [f"{number:03}.jpg" for number in range(5)]


def test_an_image_that_can_not_be_drawn_is_left_out_and_told_of(contents) -> None:
    results = [contents.picture(number) for number in range(3)]
    (contents.images / "000.jpg").unlink()
    (contents.images / "002.jpg").write_bytes(b"no picture")
    shots = shots_of(results, contents.images, NAMES)
    assert [shot.name for shot in (*shots.best, *shots.worst)] == ["001.jpg"]
    assert sorted(line.split()[0] for line in shots.left_out) == ["000.jpg", "002.jpg"]


def test_tall_images_and_boxes_at_the_edge_are_drawn(contents) -> None:
    result = contents.picture(0, size=(30, 900))
    edge = result.truths[0].model_copy(update={"corners": (0.99, 0.999, 1.0, 1.0), "hit": False})
    shots = shots_of([result.model_copy(update={"truths": (edge,)})], contents.images, NAMES)
    assert Image.open(io.BytesIO(shots.best[0].jpeg)).size == (11, SIDE)
