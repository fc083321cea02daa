"""What a model's answer becomes in the words of a project."""

from __future__ import annotations

import pytest

from inference.annotating.looking import meant
from inference.annotating.seeing import Seen, boxes_of
from labelstream.classes import ClassSchema
from labelstream.client import (
    Away,
    Box,
    Busy,
    ClientError,
    Detection,
    NotUnderstood,
    Prediction,
    Problem,
    Refused,
    SchemaName,
)
from labelstream.errors import Rejected, Unavailable

SCHEMA = ClassSchema(name="traffic", classes=("Lorry", "car"))


def found(*detections: tuple[str, float, tuple[float, float, float, float]]) -> Prediction:
    several = tuple(
        Detection(0, name, sure, Box(*(100 * c for c in corners)), Box(*corners)) for name, sure, corners in detections
    )
    return Prediction("m", "default", 1, "d", "onnx-fp32", SchemaName("x", 1, "d"), 100, 100, several, {})


def test_classes_are_matched_whatever_their_case_and_the_others_told() -> None:
    whole = (0.2, 0.2, 0.4, 0.6)
    boxes, foreign = boxes_of(found(("LORRY", 0.9, whole), ("bus", 0.8, whole), (" Car ", 0.7, whole)), SCHEMA)
    assert [(box.name, box.confidence) for box in boxes] == [("Lorry", 0.9), ("car", 0.7)]
    assert boxes[0].as_message() == {"class": "Lorry", "confidence": 0.9, "x": 0.3, "y": 0.4, "w": 0.2, "h": 0.4}
    assert foreign == (("bus", 0.8),)


def test_boxes_are_cut_at_the_image_and_what_is_outside_is_left_out() -> None:
    boxes, _ = boxes_of(found(("car", 0.9, (-0.2, 0.5, 0.2, 1.5)), ("car", 0.8, (1.1, 0.1, 1.2, 0.2))), SCHEMA)
    assert [(box.x, box.y, box.w, box.h) for box in boxes] == [(0.1, 0.75, 0.2, 0.5)]


def test_skipped_boxes_are_counted_from_the_same_confidence_on() -> None:
    one = Seen(file="f", medium=None, key="k", sha256="0" * 64, model="m", boxes=(),
               foreign=(("bus", 0.8), ("bus", 0.2), ("van", 0.1)))  # fmt: skip
    assert one.skipped(0.25) == {"bus": 1}


@pytest.mark.parametrize(
    ("error", "rule"),
    [
        (Refused(Problem(422, "image.damaged", "it is damaged", "")), "image.damaged"),
        (Refused(Problem(500, "server.fault", "oh", "")), "server.fault"),
        (Refused(Problem(401, "key.unknown", "who?", "")), "annotate.refused.key.unknown"),
        (Refused(Problem(404, "model.not_here", "no", "")), "annotate.refused.model.not_here"),
        (Refused(Problem(502, "http.502", "a proxy", "")), None),
        (Busy(Problem(503, "server.busy", "busy", "")), None),
        (Away("reset"), None),
        (NotUnderstood("html"), None),
    ],
    ids=lambda value: str(getattr(value, "rule", value)),
)
def test_errors_are_of_an_image_of_the_job_or_of_the_world(error: ClientError, rule: str | None) -> None:
    meaning = meant(error)
    if rule is None:
        assert isinstance(meaning, Unavailable)
    else:
        assert isinstance(meaning, Rejected)
        assert meaning.rule == rule
