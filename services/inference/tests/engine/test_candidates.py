"""Which artifacts may answer, as far as the manifest tells."""

from __future__ import annotations

import pytest

from inference.engine.candidates import candidates

from .material import LIMITS, PROVED, artifact, manifest


def looked_at(*artifacts, names: tuple[str, ...] = (), lacks: dict[str, str] | None = None):
    return candidates(manifest(*artifacts), names, lambda each: (lacks or {}).get(each.name))


def in_order(found) -> list[list[str]]:
    return [[each.name for each in group] for group in found.groups]


def test_the_likely_fastest_are_tried_first() -> None:
    names = ["onnx-fp32", "onnx-fp32-u8", "openvino-fp32", "openvino-bf16", "openvino-int8-u8", "onnx-int8"]
    found = looked_at(*(artifact(name) for name in names))
    assert in_order(found) == [
        ["openvino-int8-u8", "onnx-int8", "openvino-bf16", "openvino-fp32", "onnx-fp32-u8", "onnx-fp32"]
    ]


def test_what_was_not_proved_is_left_aside_where_something_was() -> None:
    found = looked_at(artifact("onnx-fp32"), artifact("onnx-int8", agreement=None, unproven="no processor for it"))
    assert in_order(found) == [["onnx-fp32"]]
    assert "no processor for it" in found.refused["onnx-int8"]


def test_what_was_not_proved_is_used_where_nothing_that_runs_here_was() -> None:
    proved, unproven = artifact("openvino-fp32"), artifact("onnx-fp32", agreement=None)
    assert in_order(looked_at(proved, unproven, lacks={"openvino-fp32": "not installed"})) == [["onnx-fp32"]]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"max_box_px": 1.5}, "boxes differ by 1.500 px"),
        ({"max_score": 0.02}, "scores differ by 0.0200"),
        ({"unmatched": 1}, "1 of 2 boxes have no partner"),
        ({"trained_map50_95": 0.8, "map50_95": 0.7}, "mAP50-95 falls by 0.100"),
    ],
    ids=["boxes", "scores", "unmatched", "map"],
)
def test_what_disagrees_by_more_than_its_limits_is_refused(changes: dict[str, float], said: str) -> None:
    found = looked_at(artifact("onnx-fp32", agreement=PROVED.model_copy(update=changes)))
    assert found.groups == ()
    assert said in found.refused["onnx-fp32"]


def test_what_agrees_exactly_at_its_limits_is_proved() -> None:
    at_limits = {
        "max_box_px": LIMITS.max_box_px,
        "max_score": LIMITS.max_score,
        "trained_map50_95": 0.5,
        "map50_95": 0.6,
    }
    found = looked_at(artifact("onnx-fp32", agreement=PROVED.model_copy(update=at_limits)))
    assert in_order(found) == [["onnx-fp32"]]


def test_graphs_that_suppress_overlaps_come_last() -> None:
    found = looked_at(artifact("onnx-int8-nms-b1", output="boxes-score-class", batch=1), artifact("onnx-fp32"))
    assert in_order(found) == [["onnx-fp32"], ["onnx-int8-nms-b1"]]


def test_the_setting_says_which_may_be_used() -> None:
    found = looked_at(artifact("onnx-fp32"), artifact("onnx-int8"), names=("onnx-fp32",))
    assert in_order(found) == [["onnx-fp32"]]
    assert "ARTIFACTS" in found.refused["onnx-int8"]


@pytest.mark.parametrize("changes", [{"input": "float64-hsv"}, {"output": "masks"}], ids=["input", "output"])
def test_unknown_words_are_refused_by_name(changes: dict[str, str]) -> None:
    found = looked_at(artifact("onnx-fp32", **changes))
    assert next(iter(changes.values())) in found.refused["onnx-fp32"]
