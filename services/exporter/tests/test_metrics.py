"""What an operator sees of models and formats."""

from __future__ import annotations

from prometheus_client import REGISTRY

from exporter import metrics
from labelstream.exports import WaitingFormat

from .stand import ENGINE, ONNX, OPENVINO, Exporter, disagreeing, export


def read(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


async def test_models_and_refused_trainings_are_counted_and_editions_once(exporter: Exporter):
    exporter.told(formats=(ONNX, ENGINE))
    await exporter.train("t1")
    await exporter.answered()
    await exporter.there(ENGINE, worker="gpu")
    await exporter.answered()
    exporter.told(formats=(ONNX,))
    await exporter.train("t2")
    await exporter.answered(disagreeing(unmatched=1))
    counts = [read("labelstream_exporter_models", project="default", outcome=o) for o in ("exported", "refused")]
    assert counts == [1, 1]


async def test_refusals_are_counted_by_format_and_rule(exporter: Exporter):
    labels = {"project": "default", "format": ONNX, "rule": "export.disagrees"}
    before = read("labelstream_exporter_refused_total", **labels) or 0
    await exporter.train("t1")
    await exporter.answered(disagreeing(unmatched=1))
    assert read("labelstream_exporter_refused_total", **labels) == before + 1


async def test_an_export_shows_its_time_and_how_it_agrees(exporter: Exporter):
    before = read("labelstream_exporter_export_seconds_count", format=ONNX) or 0
    await exporter.train("t1")
    await exporter.answered(export)
    assert read("labelstream_exporter_export_seconds_count", format=ONNX) == before + 1
    assert read("labelstream_exporter_agreement_score", project="default", format=ONNX) == 0.001
    assert read("labelstream_exporter_agreement_box_pixels", project="default", format=ONNX) == 0.01


def test_what_waits_is_counted_by_format_with_the_age_of_the_oldest():
    waiting = [
        WaitingFormat(format=name, queue="q", since_ms=since_ms, workers=(), why="")
        for name, since_ms in ((ENGINE, 5_000), (ENGINE, 9_000), (OPENVINO, 9_000))
    ]
    metrics.measure_waiting({"cars": waiting, "boats": []}, now_ms=10_000)
    found = [read("labelstream_exporter_formats_waiting", project="cars", format=name) for name in (ENGINE, OPENVINO)]
    assert found == [2, 1]
    ages = [read("labelstream_exporter_waiting_seconds", project=project) for project in ("cars", "boats")]
    assert ages == [5, 0]
    metrics.measure_waiting({"cars": [], "boats": []}, now_ms=10_000)
    assert read("labelstream_exporter_formats_waiting", project="cars", format=ENGINE) is None
    assert read("labelstream_exporter_waiting_seconds", project="cars") == 0


async def test_the_decider_shows_its_formats_that_wait(exporter: Exporter):
    exporter.told(formats=(ONNX, ENGINE))
    await exporter.train("t1")
    await exporter.answered()
    assert read("labelstream_exporter_formats_waiting", project="default", format=ENGINE) == 1


def test_what_seldom_happens_stands_at_zero_before():
    metrics.introduce(["fresh"], [ONNX])
    refused = "labelstream_exporter_refused_total"
    assert read(refused, project="fresh", format=ONNX, rule="export.disagrees") == 0
    assert read(refused, project="fresh", format="", rule="export.no_format") == 0
    assert read("labelstream_exporter_models", project="fresh", outcome="exported") == 0
