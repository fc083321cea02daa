"""What a replica is at the moment that Prometheus asks: its queue, and which models answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from inference.answering.workers import Workers
from inference.metrics import model_gauge, queue_gauges
from inference.serving.models import Models


@dataclass(frozen=True, eq=False)
class Showing(Collector):
    """Counts nothing by itself: a model that no longer answers is gone from the next answer."""

    models: Models
    workers: Workers

    def describe(self) -> Iterable[Metric]:
        """Promise no names in advance: a process may have several of these."""
        return ()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return the gauges as things are."""
        waiting, limit = queue_gauges()
        waiting.add_metric([], self.workers.waiting)
        limit.add_metric([], self.workers.places)
        serving = model_gauge()
        for project, model in self.models.serving().items():
            manifest, engine = model.manifest, model.engine
            facts = [project, manifest.model, engine.artifact, engine.backend, manifest.dataset_id]
            serving.add_metric(facts, 1)
        return [waiting, limit, serving]
