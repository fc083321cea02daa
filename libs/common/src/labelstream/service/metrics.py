"""Every metric that the services share, once, with its meaning."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import REGISTRY, Collector

from labelstream.service.health import Health

HANDLED = Counter("labelstream_handled_total", "Messages of an input stream that were answered", ["stream", "outcome"])
PUBLISHED = Counter("labelstream_published_total", "Events that were stored and read back", ["stream"])
OFFSET = Gauge("labelstream_offset", "Offset of the last message of an input stream that was handled", ["stream"])
HANDLING = Histogram(
    "labelstream_handling_seconds",
    "Time from reading a message or batch to its answer being stored",
    ["stream"],
    buckets=(0.005, 0.02, 0.1, 0.5, 2, 10, 60, 600),
)
ASKED_AGAIN = Counter(
    "labelstream_store_asked_again_total",
    "Calls to the object store that its quick client did not settle, so that boto3 was asked, by the former's error",
    ["error"],
)


class HealthCollector(Collector):
    """Turns a process's health into gauges, so that an alert can see what /readyz says."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def collect(self) -> Iterable[Metric]:
        """Report one gauge for readiness and one sample for everything awaited or degraded."""
        report = self._health.report()
        ready = GaugeMetricFamily("labelstream_ready", "1 when the process waits for nothing")
        ready.add_metric([], float(report["ready"]))
        waiting = GaugeMetricFamily("labelstream_waiting_seconds", "How long something is awaited", labels=["what"])
        for what, state in report["waiting"].items():
            waiting.add_metric([what], state["for_s"])
        degraded = GaugeMetricFamily("labelstream_degraded", "1 for what works but needs a look", labels=["what"])
        for what in report["degraded"]:
            degraded.add_metric([what], 1)
        return [ready, waiting, degraded]


def register_health(health: Health) -> None:
    """Export `health` beside the other metrics of this process."""
    REGISTRY.register(HealthCollector(health))
