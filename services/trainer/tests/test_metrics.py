"""What an operator sees of the jobs."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client import REGISTRY

from labelstream.events.envelope import Envelope
from labelstream.events.training import (
    ChampionMetrics,
    DatasetRef,
    Metrics,
    TrainingEvent,
    TrainingFailed,
    TrainingFinished,
    TrainingProgressed,
    TrainingRequested,
    TrainingStarted,
)
from labelstream.trainings import JobBook
from labelstream.values import FileRef, Position
from trainer.metrics import introduce, measure

ALERTS = Path(__file__).parents[3] / "deploy/observability/alerts/trainer.yml"
FILE = FileRef.of("k", b"k")
DATASET = DatasetRef(
    id="d" * 64, description=FILE, cut=Position(stream="annotation-events", offset=1), samples={}, test_images=5
)
METRICS = Metrics(map50=0.9, map50_95=0.7, precision=0.9, recall=0.8, images=5)


def requested(job: str) -> TrainingRequested:
    return TrainingRequested(job=job, cause="policy", dataset=DATASET, recipe={}, recipe_digest="0" * 64)


def started(job: str, attempt: int = 1) -> TrainingStarted:
    return TrainingStarted(job=job, attempt=attempt, worker="w")


def progressed(job: str) -> TrainingProgressed:
    return TrainingProgressed(
        job=job, attempt=1, epoch=1, epochs=9, losses={}, map50=0.25, map50_95=0, seconds=1, eta_s=1
    )


def finished(job: str, map50: float) -> TrainingFinished:
    test = METRICS.model_copy(update={"map50": map50})
    return TrainingFinished(
        job=job, attempt=1, dataset=DATASET, weights=FILE, architecture=FILE, best_epoch=1, validation=METRICS,
        test=test, champion=ChampionMetrics(model="m", test=METRICS, difference=map50 - 0.9),
    )  # fmt: skip


def measured(project: str, *events: TrainingEvent, now_s: float, heard_ms: dict[str, int] | None = None):
    """Fold events that come a second apart, and return how to read a gauge."""
    book = JobBook()
    for second, event in enumerate(events):
        book.fold(second, Envelope(event, id=str(second), source="trainer", project=project, time_ms=1000 * second))
    measure(book, (project,), int(now_s * 1000), heard_ms or {})

    def value(name: str, **labels: str) -> float | None:
        return REGISTRY.get_sample_value(f"labelstream_trainer_{name}", {"project": project, **labels})

    return value


def test_jobs_are_counted_by_how_they_stand():
    failed = TrainingFailed(job="c", attempt=1, rule="r", reason="x")
    value = measured("counted", requested("a"), requested("b"), requested("c"), started("b"), failed, now_s=9)
    counts = {
        state: value("jobs", state=state) for state in ("requested", "started", "finished", "failed", "cancelled")
    }
    assert counts == {"requested": 1, "started": 1, "finished": 0, "failed": 1, "cancelled": 0}


def test_a_running_job_shows_its_age_its_silence_and_its_last_epoch():
    events = (requested("a"), started("a"), progressed("a"), started("a", 2))
    value = measured("running", *events, now_s=13)
    assert (value("running_seconds"), value("silent_seconds"), value("validation_map50")) == (12, 10, 0.25)
    value = measured("running", *events, now_s=13, heard_ms={"a": 11_000})
    assert value("silent_seconds") == 2  # it trains again what was told


def test_a_job_that_no_worker_takes_shows_how_long_it_has_waited():
    value = measured("waiting", requested("a"), requested("b"), now_s=61)
    assert (value("unclaimed_seconds"), value("running_seconds"), value("silent_seconds")) == (61, 0, 0)
    assert measured("waiting", requested("a"), started("a"), now_s=61)("unclaimed_seconds") == 0


def test_the_last_training_that_finished_shows_its_test():
    events = (requested("a"), requested("b"), finished("b", 0.95), finished("a", 0.8))
    value = measured("finished", *events, now_s=9)
    assert (value("test_map50"), value("test_map50_95")) == (0.8, 0.7)
    assert round(value("test_map50_gain") or 0, 6) == -0.1


def test_every_metric_that_an_alert_asks_for_is_there():
    value = measured("alerts", requested("a"), now_s=1)
    assert value("unclaimed_seconds") == 1
    there = {metric.name for metric in REGISTRY.collect()}
    asked = set(re.findall(r"labelstream_trainer_\w+", ALERTS.read_text()))
    assert len(asked) == 4
    assert {name.removesuffix("_total") for name in asked} <= there


def test_the_oldest_running_job_shows_how_far_it_is_and_none_shows_nothing():
    value = measured("progress", requested("a"), started("a"), progressed("a"), now_s=3)
    assert (value("epoch"), value("epochs_planned")) == (1, 9)
    value = measured("progress", requested("a"), started("a"), progressed("a"), finished("a", 0.8), now_s=4)
    assert (value("epoch"), value("epochs_planned")) == (0, 0)


def test_what_seldom_happens_stands_at_zero_before():
    introduce(["fresh"])
    labels = {"project": "fresh", "rule": "out-of-memory"}
    assert REGISTRY.get_sample_value("labelstream_trainer_recoveries_total", labels) == 0
    assert REGISTRY.get_sample_value("labelstream_trainer_epochs_total", {"project": "fresh"}) == 0
