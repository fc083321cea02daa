"""Figures, words and Markdown that pages are made of."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from labelstream_datasets.pages.charts import Axis, Line, Mark, area, chart
from labelstream_datasets.pages.markdown import escaped
from labelstream_datasets.pages.matrices import matrix
from labelstream_datasets.pages.words import counted, duration, figure, signed, some
from labelstream_datasets.pictures import Marked, colour_of, draw

EVIL = '<script>"&'


def elements(drawing: str, tag: str) -> list[ET.Element]:
    return list(ET.fromstring(drawing).iter(tag))  # noqa: S314  # drawn by us


def texts(drawing: str) -> list[str]:
    return ["".join(each.itertext()) for each in elements(drawing, "text")]


def paths(drawing: str) -> list[list[tuple[float, float]]]:
    found = [each.attrib["points"] for each in elements(drawing, "polyline")]
    return [[tuple(map(float, point.split(","))) for point in points.split()] for points in found]


@pytest.mark.parametrize(
    ("values", "ends", "ticks"),
    [
        ([0.3, 3.4], (0, 4), ["0", "1", "2", "3", "4"]),
        ([0.00012, 0.002], (0, 0.002), ["0", "0.0005", "0.001", "0.0015", "0.002"]),
        ([0, 0], (0, 1), ["0", "0.25", "0.5", "0.75", "1"]),
        ([math.nan], (0, 1), ["0", "0.25", "0.5", "0.75", "1"]),
        ([1500, 52_000], (0, 60_000), ["0", "20,000", "40,000", "60,000"]),
        ([-3, 5], (-4, 6), ["-4", "-2", "0", "2", "4", "6"]),
    ],
    ids=["losses", "rates", "nothing", "no number", "thousands", "below nothing"],
)
def test_an_axis_ends_at_round_numbers_around_its_values(values, ends, ticks) -> None:
    axis = Axis.of(values)
    assert (axis.low, axis.high) == pytest.approx(ends)
    assert [said for _, said in axis.ticks] == ticks


def test_epochs_are_marked_at_whole_numbers_within_their_span() -> None:
    assert [said for _, said in Axis.of([1, 300], from_zero=False, whole=True).ticks] == ["100", "200", "300"]
    assert [said for _, said in Axis.of([1, 3], from_zero=False, whole=True).ticks] == ["1", "2", "3"]


def test_lines_are_drawn_in_place_with_their_names_units_and_marks() -> None:
    lines = [Line("a", [(0, 0), (10, 1)]), Line(EVIL, [(0, 1), (5, math.nan), (10, 0)])]
    drawing = chart(lines, Axis.of([0, 10], "epoch"), Axis.shares("mAP"), [Mark(10, "best")])
    rising, falling = paths(drawing)
    assert [x for x, _ in rising] == [x for x, _ in falling]
    assert rising[0][1] == falling[1][1] > rising[1][1] == falling[0][1]
    assert {"epoch", "mAP", "a", EVIL, "best"} <= set(texts(drawing))
    dots = [(float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in elements(drawing, "circle")]
    assert dots == [rising[1], falling[1]]


def test_a_line_of_one_point_is_a_dot() -> None:
    drawing = chart([Line("a", [(1, 0.5)])], Axis.of([0, 2]), Axis.shares())
    assert paths(drawing) == []
    assert len(elements(drawing, "circle")) == 1


def test_a_long_line_is_thinned_but_keeps_its_end_and_what_is_marked() -> None:
    points = [(float(x), x % 7) for x in range(5000)]
    drawing = chart([Line("a", points)], Axis.of([0, 4999]), Axis.of([0, 7]), [Mark(1234, "here")])
    assert 300 < len(paths(drawing)[0]) < 450
    assert len(elements(drawing, "circle")) == 1
    end = chart([Line("a", points[-2:])], Axis.of([0, 4999]), Axis.of([0, 7]))
    assert paths(drawing)[0][-1] == paths(end)[0][-1]


def test_an_area_without_points_is_an_empty_frame() -> None:
    assert paths(area([], "nothing")) == []
    assert len(paths(area([(0, 1), (1, 0)], EVIL))) == 1


def test_a_small_matrix_shows_its_numbers_and_hits_apart_from_mistakes() -> None:
    drawing = matrix(["cat", EVIL], [[8, 2], [0, 5]], "true", "predicted")
    assert {"cat", EVIL, "true", "predicted", "8", "2", "5"} <= set(texts(drawing))
    assert "0" not in texts(drawing)
    kinds = [each.attrib["class"] for each in elements(drawing, "rect") if each.attrib["class"] != "paper"]
    assert kinds == ["hit", "slip", "hit"]
    titles = [each.text for each in elements(drawing, "title")]
    assert titles[1] == f"cat → {EVIL}: 2, 20 % of the row"


def test_a_large_matrix_draws_only_what_was_counted() -> None:
    size = 60
    drawing = matrix([f"class {n}" for n in range(size)], np.eye(size, dtype=int).tolist(), "true", "predicted")
    assert len(elements(drawing, "rect")) == size + 1
    assert len(drawing) < 60_000


def test_figures_read_as_words() -> None:
    assert [duration(value) for value in (4.24, 48, 60, 1100.4, 11_100)] == [
        "4.2 s",
        "48 s",
        "1 min 00 s",
        "18 min 20 s",
        "3 h 05 min",
    ]
    assert (figure(0.8734), figure(None)) == ("0.873", "–")
    assert (signed(0.0214), signed(-0.0131), signed(None)) == ("+0.021", "−0.013", "–")
    assert some(["a", "b", "c"], 3) == "a, b, c"
    assert some(["a", "b", "c"], 2) == "a, b and 1 more"
    assert [counted(1, "class"), counted(2, "box"), counted(1200, "image")] == ["1 class", "2 boxes", "1,200 images"]


def test_markdown_reads_foreign_text_as_text() -> None:
    assert escaped("a|b *c* <i>") == "a\\|b \\*c\\* &lt;i&gt;"
    assert escaped("two\n\nlines") == "two lines"
    assert escaped(3) == 3
    assert re.sub(r"\\.", "", str(escaped("`*_[]{}|~#$!\\"))) == ""


def test_solid_dashed_and_crossed_boxes_differ_in_their_lines() -> None:
    grey = Image.new("RGB", (100, 100), (120, 120, 120))
    ink = {}
    for line in ("solid", "dashed", "crossed"):
        picture = np.asarray(draw(grey, [Marked(0, "", (10, 20, 89, 79), line)], 11))
        drawn = (picture == colour_of(0)).all(axis=-1)
        ink[line] = drawn[20, 10:90].mean(), drawn[50, 50] or drawn[49, 49], drawn[20:22, 10:14].any()
    assert ink["solid"] == (1.0, False, True)
    assert ink["crossed"] == (1.0, True, True)
    assert 0.4 < ink["dashed"][0] < 0.85
    assert ink["dashed"][1:] == (False, True)
    tiny = draw(grey, [Marked(0, "", (5, 5, 6, 6), "dashed")], 11)
    assert (np.asarray(tiny)[5, 5] == colour_of(0)).all()
