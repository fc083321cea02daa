"""What the exporter concludes from what it heard."""

from __future__ import annotations

import pytest

from exporter.domain import Ledger, export_job_id
from exporter.exporting.limits import DEFAULTS, disagreement, limits_of, may_be_unproven
from exporter.exporting.options import ExportingOptions
from labelstream.events.envelope import Envelope
from labelstream.events.model import Agreement, AgreementLimits
from labelstream.events.training import DatasetRef, Metrics, TrainingFailed, TrainingFinished
from labelstream.formats import PRECISIONS, Format
from labelstream.values import FileRef, Position

FILE = FileRef.of("k", b"k")
METRICS = Metrics(map50=0.9, map50_95=0.5, precision=0.9, recall=0.9, images=10)
TIGHT = AgreementLimits(max_box_px=0.5, max_score=0.001, max_map_drop=0)


def finished(job: str) -> TrainingFinished:
    cut = Position(stream="annotation-events", offset=0)
    dataset = DatasetRef(id="d", description=FILE, cut=cut, samples={}, test_images=9)
    return TrainingFinished(
        job=job, attempt=1, dataset=dataset, weights=FILE, architecture=FILE, best_epoch=1, validation=METRICS,
        test=METRICS,
    )  # fmt: skip


def test_the_ledger_knows_the_trainings_that_finished_and_no_others():
    ledger = Ledger()
    for offset, event in enumerate((finished("a"), TrainingFailed(job="b", attempt=1, rule="r", reason="x"))):
        ledger.heard(offset, Envelope.of(event, source="trainer", answers=str(offset), project="p"))
    assert [(each.job, each.project, each.input.offset) for each in ledger.trained.values()] == [("a", "p", 0)]
    assert (ledger.training("a"), ledger.training("b")) == (finished("a"), None)


def test_each_format_of_the_same_weights_has_a_job_of_its_own_and_always_the_same():
    names = ["onnx-fp32", "onnx-int8", "openvino-fp32"]
    jobs = [export_job_id("p", finished("a"), name) for name in names]
    assert len({*jobs, export_job_id("q", finished("a"), "onnx-fp32")}) == 4
    assert jobs[0] == export_job_id("p", finished("a"), "onnx-fp32")


def test_every_precision_has_limits():
    assert set(DEFAULTS) == {precision for some in PRECISIONS.values() for precision in some}


@pytest.mark.parametrize(
    ("name", "own", "chosen"),
    [
        ("onnx-fp32", {}, DEFAULTS["fp32"]),
        ("onnx-int8", {"fp32": TIGHT}, DEFAULTS["int8"]),
        ("onnx-int8", {"int8": TIGHT}, TIGHT),
        ("onnx-int8", {"int8": DEFAULTS["fp32"], "onnx-int8": TIGHT}, TIGHT),
        ("onnx-fp32-nms-b1", {"onnx-fp32": DEFAULTS["int8"], "onnx-fp32-nms-b1": TIGHT}, TIGHT),
    ],
)
def test_the_most_specific_limits_count(name, own, chosen):
    assert limits_of(Format.parse(name), own) == chosen


@pytest.mark.parametrize(
    ("allowed", "may"), [((), False), (("rknn-int8-rk3588",), True), (("rknn-int8",), True), (("fp16",), False)]
)
def test_what_may_be_unproven_is_named_like_limits(allowed, may):
    assert may_be_unproven(Format.parse("rknn-int8-rk3588"), allowed) is may


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({}, None),
        ({"unmatched": 2}, "2 of 40 boxes have no partner"),
        ({"max_box_px": 3.2}, "a corner differs by 3.200 px, more than 1.0 px"),
        ({"max_score": 0.5}, "a score differs by 0.5000, more than 0.01"),
        ({"trained_map50_95": 0.5, "map50_95": 0.496}, None),
        ({"trained_map50_95": 0.5, "map50_95": 0.6}, None),
        ({"trained_map50_95": 0.5, "map50_95": 0.48}, "mAP50-95 falls from 0.500 to 0.480, by more than 0.005"),
    ],
)
def test_a_disagreement_is_said_with_its_numbers(found, said):
    agreement = Agreement(**{"images": 9, "boxes": 40, "unmatched": 0, "max_box_px": 0.1, "max_score": 0.001, **found})
    assert disagreement(agreement, DEFAULTS["fp32"]) == said


def test_some_boxes_of_an_int8_format_may_lack_a_partner_and_not_more():
    agreement = Agreement(images=9, boxes=40, unmatched=4, max_box_px=0, max_score=0)
    assert disagreement(agreement, DEFAULTS["int8"]) is None
    beyond = agreement.model_copy(update={"unmatched": 5})
    assert disagreement(beyond, DEFAULTS["int8"]) == "5 of 40 boxes have no partner, more than 10%"


def test_boxes_that_the_trained_weights_do_not_find_at_all_are_a_disagreement():
    invented = Agreement(images=9, boxes=0, unmatched=1, max_box_px=0, max_score=0)
    assert disagreement(invented, DEFAULTS["int8"]) == "1 of 0 boxes have no partner, more than 10%"


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        ({"formats": ("onnx-fp64",)}, "onnx comes in"),
        ({"formats": ("onnx-fp32", "onnx-fp32")}, "named twice"),
        ({"formats": ()}, "at least 1"),
        ({"limits": {"onxn": TIGHT}}, "onxn"),
        ({"allow_unproven": ("onnx-bf16",)}, "onnx comes in"),
    ],
)
def test_a_setting_that_no_format_answers_to_is_refused(told, problem):
    with pytest.raises(ValueError, match=problem):
        ExportingOptions(**told)
