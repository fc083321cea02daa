"""Answers are counted, and compared with what the test images gave, for the models that answer now."""

from __future__ import annotations

import gc
import weakref
from dataclasses import dataclass

import numpy as np
import pytest
from prometheus_client import REGISTRY, CollectorRegistry

from inference.drift.distance import LEAST
from inference.drift.watching import Drift
from inference.drift.window import Window
from inference.engine.detecting import Detected, Timings
from inference.engine.geometry import Found, Size
from inference.serving.models import Models, ServingModel
from labelstream.bundle import CONFIDENCE_BINS, Manifest, ManifestFacts, Reference, SealedFile, Thresholds
from labelstream.classes import ClassSchema
from labelstream.events.training import Metrics

CLASSES = ("red", "blue", "green")


@dataclass
class NoEngine:
    """Stands in a slot, and is asked nothing."""

    def close(self) -> None:
        pass


def reference(classes: dict[int, int], bin_number: int = 18, images: int = 100) -> Reference:
    total = sum(classes.values())
    bins = tuple(total if number == bin_number else 0 for number in range(CONFIDENCE_BINS))
    return Reference(images=images, detections=total, class_counts=classes, confidences=bins)


def model(name: str, found: Reference | None, project: str = "default") -> ServingModel:
    metrics = Metrics(map50=0.9, map50_95=0.7, precision=0.9, recall=0.8, images=60)
    facts = ManifestFacts(
        model=name, project=project, job="j", dataset_id="d", created_ms=1, image_size=64, thresholds=Thresholds(),
        class_schema=ClassSchema(name="cells", classes=CLASSES), validation=metrics, test=metrics, versions={},
        reference=found,
    )  # fmt: skip
    golden = SealedFile.model_construct(file="golden.age")
    manifest = Manifest.model_construct(**dict(facts), recipient="age1", artifacts=(), golden=golden)
    return ServingModel(manifest, 1, NoEngine())


def detected(*classes: int, score: float = 0.925, tiles: int = 1) -> Detected:
    count = len(classes)
    found = Found(np.zeros((count, 4), np.float32), np.full(count, score, np.float32), np.array(classes, np.int64))
    return Detected(found, Size(64, 64), Timings(0, 0, 0), tiles)


@pytest.fixture
def models() -> Models:
    return Models(("default", "other"))


@pytest.fixture
def drift(models) -> Drift:
    return Drift(models, size=200)


def told(drift: Drift, name: str = "labelstream_drift") -> dict[tuple[str, ...], float]:
    """Return what Prometheus gets to see of one gauge."""
    registry = CollectorRegistry()
    registry.register(drift)
    return {
        tuple(sample.labels.values()): sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == name
    }


def test_answers_like_those_about_the_test_images_are_no_drift(models, drift):
    serving = model("m1", reference({0: 100, 1: 100}))
    models.swap(serving)
    for _ in range(LEAST):
        drift.answered(serving, detected(0, 1), usual=True)
    assert told(drift) == {("default", "m1", "confidence"): 0, ("default", "m1", "classes"): 0}
    assert told(drift, "labelstream_detections_per_image") == {
        ("default", "m1", "live"): 2,
        ("default", "m1", "test"): 2,
    }


def test_another_class_mix_and_other_confidences_are_told_apart(models, drift):
    serving = model("m1", reference({0: 100, 1: 100}))
    models.swap(serving)
    for _ in range(LEAST):
        drift.answered(serving, detected(2, 2), usual=True)
    mixed = told(drift)
    assert mixed["default", "m1", "confidence"] == 0
    assert mixed["default", "m1", "classes"] > 0.95
    for _ in range(200):
        drift.answered(serving, detected(0, 1, score=0.4), usual=True)
    unsure = told(drift)
    assert unsure["default", "m1", "confidence"] > 0.95
    assert unsure["default", "m1", "classes"] == 0  # the window has moved on


def test_a_few_images_give_no_number(models, drift):
    serving = model("m1", reference({0: 500}))
    models.swap(serving)
    for _ in range(LEAST - 1):
        drift.answered(serving, detected(0, 0, 0), usual=True)
    assert told(drift) == told(drift, "labelstream_detections_per_image") == {}
    drift.answered(serving, detected(0, 0, 0), usual=True)
    assert len(told(drift)) == 2


def test_who_has_few_images_may_look_sooner(models):
    drift, serving = Drift(models, size=200, least=4), model("m1", reference({0: 4}))
    models.swap(serving)
    for _ in range(3):
        drift.answered(serving, detected(0, 0), usual=True)
    assert told(drift) == {}
    drift.answered(serving, detected(0, 0), usual=True)
    assert set(told(drift)) == {("default", "m1", "confidence"), ("default", "m1", "classes")}


@pytest.mark.parametrize(
    ("answer", "usual"), [(detected(2, 2), False), (detected(2, 2, tiles=5), True)], ids=["own-wishes", "tiled"]
)
def test_images_that_were_asked_about_otherwise_are_not_compared(models, drift, answer, usual):
    serving = model("m1", reference({0: 100, 1: 100}))
    models.swap(serving)
    for _ in range(LEAST):
        drift.answered(serving, detected(0, 1), usual=True)
        drift.answered(serving, answer, usual=usual)
    assert told(drift)["default", "m1", "classes"] == 0


def test_a_bundle_without_a_reference_is_counted_and_compared_with_nothing(models, drift):
    serving = model("m1", None)
    models.swap(serving)
    for _ in range(LEAST):
        drift.answered(serving, detected(0), usual=True)
    assert told(drift) == {}
    assert told(drift, "labelstream_detections_per_image") == {("default", "m1", "live"): 1}


def test_a_model_that_serves_no_longer_is_not_told_of_and_the_next_one_starts_anew(models, drift):
    first, second = model("m1", reference({0: 300})), model("m2", reference({0: 300}))
    models.swap(first)
    for _ in range(LEAST):
        drift.answered(first, detected(0, 0), usual=True)
    models.swap(second)
    assert told(drift) == {}
    for number in range(LEAST):
        drift.answered(second, detected(1, 1), usual=True)
        if number < 10:
            drift.answered(first, detected(0, 0), usual=True)  # these requests had begun before
    after = told(drift)
    assert {name for _, name, _ in after} == {"m2"}
    assert after["default", "m2", "classes"] > 0.95


def test_the_network_of_an_older_model_is_not_held_on_to(models, drift):
    serving = model("m1", None)
    models.swap(serving)
    drift.answered(serving, detected(0), usual=True)
    engine = weakref.ref(serving.engine)
    models.swap(model("m2", None))
    models.close()
    del serving
    gc.collect()
    assert engine() is None


def test_each_project_is_compared_with_its_own_test_images(models, drift):
    one, other = model("m1", reference({0: 300})), model("m2", reference({1: 300}), "other")
    models.swap(one)
    models.swap(other)
    for _ in range(LEAST):
        drift.answered(one, detected(0), usual=True)
        drift.answered(other, detected(0), usual=True)
    apart = told(drift)
    assert apart["default", "m1", "classes"] == 0
    assert apart["other", "m2", "classes"] > 0.95


def test_detections_are_counted_by_class(models, drift):
    serving = model("m1", None, "other")
    models.swap(serving)
    before = counted("red"), counted("blue")
    drift.answered(serving, detected(0, 0, 1), usual=True)
    drift.answered(serving, detected(), usual=True)
    assert (counted("red") - before[0], counted("blue") - before[1]) == (2, 1)


def test_a_window_forgets_the_oldest_answer_first():
    window = Window(size=2, classes=2)
    for classes in ((0, 0, 0), (0, 1), (1,)):
        window.take(detected(*classes, score=1.0).found)
    assert window.images == 2
    assert window.classes().tolist() == [1, 2]
    assert window.confidences().tolist() == [0] * 19 + [3]  # a score of 1 counts in the last bin


def counted(name: str) -> float:
    labels = {"project": "other", "class": name}
    return REGISTRY.get_sample_value("labelstream_detections_total", labels) or 0.0
