"""Tiles of large images, and one answer out of many."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest

from inference.engine.contract import Prepared
from inference.engine.detecting import detect
from inference.engine.geometry import Floats, Found, Letterbox, Size
from inference.engine.tiling import MOST_TILES, Tile, Tiling, merge
from labelstream.bundle import Thresholds
from labelstream.errors import Rejected

THRESHOLDS = Thresholds()


def found(*boxes: tuple[float, float, float, float], score: float = 0.9, class_id: int = 0) -> Found:
    """Finds of one score and class."""
    return Found(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(len(boxes), score, np.float32),
        np.full(len(boxes), class_id, np.int64),
    )


def test_an_image_that_fits_into_one_tile_is_not_cut() -> None:
    assert Tiling(640).tiles(Size(640, 480)) == []


@pytest.mark.parametrize(("width", "height"), [(641, 480), (1920, 1080), (4000, 300), (1280, 1280)])
def test_tiles_cover_every_pixel_and_overlap_by_at_least_what_was_asked(width: int, height: int) -> None:
    tiling = Tiling(640, 0.25)
    tiles = tiling.tiles(Size(width, height))
    seen = np.zeros((height, width), bool)
    for tile in tiles:
        assert max(tile.width, tile.height) <= 640
        assert 0 <= tile.left <= width - tile.width
        seen[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width] = True
    assert seen.all()
    lefts = sorted({tile.left for tile in tiles})
    assert all(right - left <= 640 * 0.75 + 1 for left, right in pairwise(lefts))


def test_too_many_tiles_are_refused_with_their_number() -> None:
    with pytest.raises(Rejected) as refused:
        Tiling(64).tiles(Size(6000, 6000))
    assert refused.value.rule == "tiles.too_many"
    assert str(MOST_TILES) in refused.value.reason


def test_an_object_that_two_tiles_see_is_found_once() -> None:
    left, right = Tile(0, 0, 100, 100), Tile(60, 0, 100, 100)
    pieces = [(left, found((70, 10, 90, 30), score=0.8)), (right, found((10.5, 10, 30.5, 30), score=0.9))]
    one = merge(found(), pieces, Size(160, 100), THRESHOLDS)
    assert one.boxes.tolist() == [[70.5, 10, 90.5, 30]]


def test_the_part_of_an_object_at_the_edge_of_a_tile_gives_way_to_the_whole_even_if_it_is_surer() -> None:
    left, right = Tile(0, 0, 100, 100), Tile(60, 0, 100, 100)
    pieces = [(left, found((80, 10, 100, 30), score=0.95)), (right, found((20, 10, 60, 30), score=0.6))]
    one = merge(found(), pieces, Size(160, 100), THRESHOLDS)
    assert one.boxes.tolist() == [[80, 10, 120, 30]]


def test_an_object_at_the_edge_of_the_image_is_not_taken_for_a_part() -> None:
    pieces = [(Tile(0, 0, 100, 100), found((0, 0, 20, 20))), (Tile(60, 0, 100, 100), found())]
    one = merge(found((0, 0, 60, 60), score=0.5), pieces, Size(160, 100), THRESHOLDS)
    assert len(one) == 2


def test_what_is_larger_than_a_tile_is_found_in_the_whole_image() -> None:
    parts = [(Tile(0, 0, 100, 100), found((5, 5, 100, 100))), (Tile(60, 0, 100, 100), found((0, 5, 90, 100)))]
    one = merge(found((5, 5, 150, 100), score=0.5), parts, Size(160, 200), THRESHOLDS)
    assert one.boxes.tolist() == [[5, 5, 150, 100]]


def test_objects_of_other_classes_do_not_hide_each_other() -> None:
    pieces = [(Tile(0, 0, 100, 100), found((10, 10, 30, 30))), (Tile(60, 0, 100, 100), found())]
    assert len(merge(found((10, 10, 30, 30), class_id=1), pieces, Size(160, 100), THRESHOLDS)) == 2


def test_only_the_most_confident_ones_are_kept_in_order() -> None:
    pieces = [
        (Tile(0, 0, 100, 100), found((0, 0, 9, 9), score=0.3)),
        (Tile(60, 0, 100, 100), found((50, 50, 59, 59), score=0.7)),
    ]
    one = merge(found((0, 60, 9, 69), score=0.5), pieces, Size(160, 100), Thresholds(max_detections=2))
    assert one.scores.tolist() == pytest.approx([0.7, 0.5])


@dataclass
class BrightSpots:
    """Finds the brightest pixel of an image, if the network's square still shows it."""

    artifact: str = "spots"
    backend: str = "none"
    side: int = 64
    at_once: int = 1
    looks: int = 0

    def pre_process(self, image: np.ndarray) -> Prepared:
        self.looks += 1
        height, width = image.shape[:2]
        fit = Letterbox.of(Size(width, height), self.side)
        step = max(width, height) / self.side
        rows = np.clip((np.arange(self.side) * step).astype(int), 0, height - 1)
        columns = np.clip((np.arange(self.side) * step).astype(int), 0, width - 1)
        return Prepared(np.ascontiguousarray(image[rows][:, columns]), fit)

    def forward(self, prepared: Prepared, *, alone: bool = False) -> Floats:  # noqa: ARG002  # the contract's
        spot = np.argwhere(prepared.tensor[:, :, 0] > 200)
        return spot.astype(np.float32)

    def post_process(self, raw: Floats, letterbox: Letterbox, thresholds: Thresholds) -> Found:  # noqa: ARG002  # the contract's
        boxes = np.array([[x - 2, y - 2, x + 2, y + 2] for y, x in raw[:1]], np.float32).reshape(-1, 4)
        return Found(letterbox.to_image(boxes), np.ones(len(boxes), np.float32), np.zeros(len(boxes), np.int64))

    def close(self) -> None:
        pass


def test_a_speck_that_a_large_image_loses_is_found_in_its_tile() -> None:
    image = np.zeros((256, 256, 3), np.uint8)
    image[131, 77] = 255  # no sample of the whole image lands here
    engine = BrightSpots()
    assert len(detect(engine, image, THRESHOLDS).found) == 0
    tiled = detect(engine, image, THRESHOLDS, tiling=Tiling(64, 0.25))
    assert len(tiled.found) == 1
    x1, y1, x2, y2 = tiled.found.boxes[0]
    assert x1 <= 77 <= x2
    assert y1 <= 131 <= y2
    assert tiled.tiles == engine.looks - 1
    assert tiled.timings_ms.pre_process > 0
