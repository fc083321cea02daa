from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augmenter.boxes import Minimum, settle
from labelstream.labels import Box, yolo_lines

unit = st.floats(-0.5, 1.5)


@given(unit, unit, unit, unit, st.floats(0, 0.2), st.floats(0, 0.5))
def test_a_settled_box_never_leaves_the_image_nor_is_too_small(
    x1: float, y1: float, x2: float, y2: float, area: float, side: float
) -> None:
    box = settle(1, (x1, y1, x2, y2), Minimum(area, side))
    if box is None:
        return
    _, x, y, w, h = (round(float(v) * 1_000_000) for v in yolo_lines([box]).split())
    assert w * h >= area * 1e12
    assert min(w, h) >= side * 1e6
    assert w > 0
    assert h > 0
    assert x - w // 2 >= 0
    assert y - h // 2 >= 0
    assert x + w // 2 <= 1_000_000
    assert y + h // 2 <= 1_000_000
    assert w % 2 == h % 2 == 0
    assert box == box.rounded()


@pytest.mark.parametrize("corners", [(1.1, 0, 1.2, 1), (-0.2, 0, -0.1, 1), (0.5, 0.5, 0.5, 0.6), (-1, -1, -0.5, -0.5)])
def test_a_box_of_which_nothing_is_left_is_dropped(corners: tuple[float, float, float, float]) -> None:
    assert settle(0, corners, Minimum()) is None


def test_a_box_is_rounded_once() -> None:
    box = settle(0, (1 / 3, 1 / 3, 2 / 3, 2 / 3), Minimum())
    assert box == Box(class_id=0, x=0.5, y=0.5, w=0.333334, h=0.333334)
