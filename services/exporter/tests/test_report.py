"""The report in the signed directory: what it tells, and what it must not hold."""

from __future__ import annotations

import re

import pytest

from exporter.exporting.limits import DEFAULTS
from exporter.exporting.orders import ExportLeft
from exporter.exporting.report import ReportContent, read_classes, report_page
from labelstream.blobs.memory import MemoryBlobs
from labelstream.bundle import ArtifactFacts, Calibration, ManifestFacts, Thresholds
from labelstream.classes import ClassSchema
from labelstream.events.model import Agreement
from labelstream.events.training import DatasetRef, Metrics, TrainingFinished
from labelstream.formats import Format
from labelstream.values import FileRef, Position

FILE = FileRef.of("k", b"k")
METRICS = Metrics(
    map50=0.912, map50_95=0.684, precision=0.9, recall=0.8, images=312, per_class={"car <i>": 0.7, "bus": 0.66}
)
AGREES = Agreement(
    images=300, boxes=1234, unmatched=2, max_box_px=4.312, max_score=0.0914, trained_map50_95=0.684, map50_95=0.671
)
EVALUATION = (
    b'{"model": {"classes": [{"class_id": 0, "name": "car", "images": 9, "boxes": 20, "map50": 0.5, "map50_95": 0.3, '
    b'"precision": 0.8, "recall": 0.7, "map50_interval": {"low": 0.41, "high": 0.59}}, {"class_id": 1, "name": "bus", '
    b'"images": 9, "boxes": 20, "map50": 0.6, "map50_95": 0.4, "precision": 0.8, "recall": 0.7}, {"class_id": 2, '
    b'"name": "tram", "images": 0, "boxes": 0, "map50": null, "map50_95": null, "precision": null, "recall": null}]}}'
)


def training(**more: object) -> TrainingFinished:
    cut = Position(stream="annotation-events", offset=1200)
    dataset = DatasetRef(id="d" * 64, description=FILE, cut=cut, samples={}, test_images=312)
    return TrainingFinished(
        job="ab" * 16, attempt=1, dataset=dataset, weights=FILE, architecture=FILE, best_epoch=42, validation=METRICS,
        test=METRICS, **more,
    )  # fmt: skip


def left(name: str, **facts: object) -> ExportLeft:
    wanted = Format.parse(name)
    limits = DEFAULTS[wanted.precision] if facts.get("agreement") else None
    return ExportLeft(
        artifact=FILE,
        facts=ArtifactFacts(
            name=name, format=wanted.family, precision=wanted.precision, target=wanted.target, input="uint8-nhwc-rgb",
            output="raw-yolo", limits=limits, versions={"onnx": "1.20.1"}, **facts,
        ),
        golden=(), image_size=640, confidence=0.25, iou=0.45, versions={}, seconds=73, worker="a-secret-host",
    )  # fmt: skip


def page(*lefts: ExportLeft, classes: tuple = (), waiting: tuple[str, ...] = (), edition: int = 1) -> str:
    facts = ManifestFacts(
        model="cd" * 16, project="cars", job="ab" * 16, dataset_id="d" * 64, created_ms=0,
        class_schema=ClassSchema(name="x", classes=("car <i>", "bus")), image_size=640, thresholds=Thresholds(),
        validation=METRICS, test=METRICS, versions={}, edition=edition,
    )  # fmt: skip
    sizes = {each.facts.name: 10_600_000 for each in lefts}
    return report_page(ReportContent.of(training(), facts, lefts, waiting, sizes, classes))


def test_each_format_stands_with_size_agreement_limits_calibration_and_versions():
    shown = page(left("onnx-int8", agreement=AGREES, calibration=Calibration(images=64, digest="e" * 64)))
    for told in (
        "onnx-int8", "10.6 MB", "4.312 px", "of 24.0", "0.0914", "of 0.4", "2 of 1,234", "up to 10 %", "0.671",
        "on 64 training images", "onnx 1.20.1", "1 min 13 s",
    ):  # fmt: skip
        assert told in shown


def test_what_was_not_run_says_so_in_the_first_line():
    shown = page(left("onnx-fp32", agreement=AGREES), left("tensorrt-fp16-sm_90", unproven="no GPU of sm_90 is here"))
    assert "not all proved" in shown
    assert shown.count("no GPU of sm_90 is here") == 2
    assert "sm_90" in shown
    assert "not all proved" not in page(left("onnx-fp32", agreement=AGREES))


def test_what_waits_is_named():
    shown = page(left("onnx-fp32", agreement=AGREES), waiting=("rknn-int8-rk3588",), edition=2)
    assert "it was not built yet: rknn-int8-rk3588" in shown
    assert "edition 2" in shown


def test_the_page_needs_nothing_from_outside_and_shows_no_picture_and_no_machine():
    shown = page(left("onnx-fp32", agreement=AGREES))
    assert re.findall(r"https?://", shown) == []
    assert "<img" not in shown
    assert "a-secret-host" not in shown


def test_on_a_phone_each_figure_of_a_format_stands_below_the_other_with_its_name():
    formats = page(left("onnx-fp32", agreement=AGREES)).split('id="formats"')[1].split("</table>")[0]
    head, body = formats.split("<tbody>")
    assert 'class="dense stacked"' in head
    assert len(re.findall('<td class="n" data-of="[^"]+">', body)) == head.count('<th class="n')


def test_the_figures_at_the_top_are_told_alike():
    top = page(left("onnx-fp32", agreement=AGREES)).split('class="headline"')[1].split('class="verdict')[0]
    assert top.count("<b>") == 5
    assert 'class="range"' not in top


def test_names_of_classes_are_text():
    shown = page(left("onnx-fp32", agreement=AGREES))
    assert "car &lt;i&gt;" in shown
    assert "car <i>" not in shown


async def test_classes_come_with_their_intervals_from_the_training_s_evaluation():
    blobs = MemoryBlobs()
    await blobs.put("evaluation.json", EVALUATION)
    classes = await read_classes(blobs, training(evaluation=FileRef.of("evaluation.json", EVALUATION)))
    assert [each.name for each in classes] == ["bus", "car", "tram"]
    assert "0.410 … 0.590" in page(left("onnx-fp32", agreement=AGREES), classes=classes)


@pytest.mark.parametrize("stored", [None, b"{}", b"\xff"], ids=["gone", "another form", "damaged"])
async def test_an_evaluation_that_can_not_be_read_leaves_the_means(stored):
    blobs = MemoryBlobs()
    if stored is not None:
        await blobs.put("evaluation.json", stored)
    known = FileRef.of("evaluation.json", stored or b"")
    assert await read_classes(blobs, training(evaluation=known)) == ()
    assert await read_classes(blobs, training()) == ()
    assert "0.660" in page(left("onnx-fp32", agreement=AGREES))
