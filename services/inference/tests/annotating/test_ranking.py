"""What people look at first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.annotating.ranking import EACH, FLOOR, floor, ranked, score, unsure
from inference.annotating.seeing import Seen, SeenBox


def seen(name: str, *confidences: float) -> Seen:
    boxes = tuple(SeenBox(name="car", confidence=sure, x=0.5, y=0.5, w=0.1, h=0.1) for sure in confidences)
    return Seen(file=name, medium=None, key=name, sha256=name.rjust(64, "0"), model="m", boxes=boxes)


@pytest.mark.parametrize(
    ("confidences", "expected"), [((), 0), ((0.5,), 1), ((1.0,), 0), ((0.75,), 0.25), ((0.25,), 0.25), ((0.5, 0.5), 2)]
)
def test_an_undecided_box_counts_one_and_a_decided_one_nothing(confidences: tuple[float, ...], expected: float) -> None:
    assert score(confidences) == pytest.approx(expected)


def test_noise_adds_up_to_little() -> None:
    assert score([FLOOR] * 90) < 1


def test_images_come_by_their_score_and_equals_by_their_digest() -> None:
    images = [seen("a", 0.9), seen("c", 0.5), seen("b", 0.5), seen("d", 0.5, 0.6)]
    assert [one.file for one in ranked(images)] == ["d", "b", "c", "a"]


def test_one_place_in_ten_goes_to_an_image_without_a_detection() -> None:
    found = [seen(f"{n:03d}", 0.4) for n in range(27)]
    empty = [seen(f"e{n}") for n in range(5)]
    order = [bool(one.boxes) for one in ranked([*empty, *found])]
    assert [place for place, has in enumerate(order, 1) if not has][:3] == [EACH, 2 * EACH, 3 * EACH]
    assert order[-2:] == [False, False]


@given(st.lists(st.lists(st.floats(0, 1), max_size=3), max_size=40))
def test_every_image_has_one_place_whatever_order_it_came_in(confidences: list[list[float]]) -> None:
    images = [seen(f"{n:04d}", *several) for n, several in enumerate(confidences)]
    order = ranked(images)
    assert sorted(one.file for one in order) == [one.file for one in images]
    assert ranked(reversed(images)) == order


def test_the_least_decided_box_is_told() -> None:
    assert unsure(seen("a", 0.9, 0.45, 0.1)) == 0.45
    assert unsure(seen("a")) == 0


def test_less_certain_boxes_are_looked_at_only_where_they_are_ranked() -> None:
    assert floor("uncertain", 0.5) == FLOOR
    assert floor("uncertain", 0.01) == 0.01
    assert floor("name", 0.5) == 0.5
