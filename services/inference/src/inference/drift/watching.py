"""Takes each answer, and tells Prometheus how far the newest ones are from the test images when it asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from prometheus_client import Metric
from prometheus_client.registry import Collector

from inference.drift.distance import LEAST, Counts, distance
from inference.drift.window import Window
from inference.engine.detecting import Detected
from inference.metrics import DETECTIONS, drift_gauge, per_image_gauge
from inference.serving.models import Models, ServingModel
from labelstream.bundle import Manifest, Reference


@dataclass(frozen=True)
class _Watched:
    """What the newest answers of a model were; its network is not held on to."""

    manifest: Manifest
    window: Window


@dataclass(eq=False)
class Drift(Collector):
    """Observes answers, and is a collector of metrics: of the models that answer now, and of no others."""

    models: Models
    size: int  # answers of a model that are looked at, the newest
    # Answers, or a whole window where that is smaller, and detections on either side: a few images of one scene look
    # like drift.
    least: int = LEAST
    _watched: dict[str, _Watched] = field(default_factory=dict)  # by project

    def answered(self, model: ServingModel, detected: Detected, *, usual: bool) -> None:
        """Count what was found, where images were asked about as the test images were."""
        manifest = model.manifest
        if not usual or detected.tiles > 1 or self.models.current(manifest.project) is not model:
            return
        self._window(manifest).take(detected.found)
        for class_id, count in Counter(detected.found.classes.tolist()).items():
            DETECTIONS.labels(manifest.project, manifest.class_schema.classes[class_id]).inc(count)

    def failed(self, model: ServingModel, error: Exception) -> None:
        """Leave failures to others."""

    def describe(self) -> Iterable[Metric]:
        """Promise no names in advance: a process may have several of these."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges of the models that answer now."""
        drift, per_image = drift_gauge(), per_image_gauge()
        for project, model in self.models.serving().items():
            watched = self._watched.get(project)
            if watched is None or watched.manifest is not model.manifest:
                continue
            window, reference = watched.window, model.manifest.reference
            if window.images < min(self.least, self.size):
                continue
            labels = [project, model.manifest.model]
            classes = window.classes()
            per_image.add_metric([*labels, "live"], int(classes.sum()) / window.images)
            if reference is not None:
                per_image.add_metric([*labels, "test"], reference.detections / max(1, reference.images))
                for kind, far in distances(classes, window.confidences(), reference, self.least):
                    drift.add_metric([*labels, kind], far)
        yield drift
        yield per_image

    def _window(self, manifest: Manifest) -> Window:
        watched = self._watched.get(manifest.project)
        if watched is None or watched.manifest is not manifest:
            watched = _Watched(manifest, Window(self.size, len(manifest.class_schema.classes)))
            self._watched[manifest.project] = watched
        return watched.window


def distances(
    classes: Counts, confidences: Counts, reference: Reference, least: int = LEAST
) -> Iterator[tuple[str, float]]:
    """Yield how far live answers are from those about the test images, by kind; nothing where there are too few."""
    mix: Counts = np.zeros_like(classes)
    for class_id, count in reference.class_counts.items():
        mix[class_id] = count
    bins = np.array(reference.confidences, np.int64)
    for kind, live, tested in (("confidence", confidences, bins), ("classes", classes, mix)):
        far = distance(live, tested, least)
        if far is not None:
            yield kind, far
