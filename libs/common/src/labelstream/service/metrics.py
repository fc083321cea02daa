"""Every metric that the services share, once, with its meaning. `streams/lag.py` has those of readers."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import REGISTRY, Collector

from labelstream.service.health import Health

BUILD = Gauge(
    "labelstream_build_info", "1, with the version of Labelstream and what this process is", ["version", "program"]
)
HANDLED = Counter("labelstream_handled_total", "Messages of an input stream that were answered", ["stream", "outcome"])
PUBLISHED = Counter("labelstream_published_total", "Events that were stored and read back", ["stream"])
OFFSET = Gauge("labelstream_offset", "Offset of the last message of an input stream that was handled", ["stream"])
HANDLING = Histogram(
    "labelstream_handling_seconds",
    "Time from reading a message or batch to its answer being stored",
    ["stream"],
    buckets=(0.005, 0.02, 0.1, 0.5, 2, 10, 60, 600),
)
USUAL_FAULT = "GenericError"  # as obstore calls whatever has no name of its own
ASKED_AGAIN = Counter(
    "labelstream_store_asked_again_total",
    "Calls to the object store that its quick client did not settle, so that boto3 was asked, by the former's error",
    ["error"],
)

DONE, FAILED, AGAIN, LOST = JOB_OUTCOMES = ("done", "failed", "again", "lost")
JOBS_DONE = Counter(
    "labelstream_jobs_done_total",
    "Attempts at a job that ended: done, failed (for good), again (another attempt is to be made), "
    "lost (another worker took the job over)",
    ["queue", "outcome"],
)
JOB_SECONDS = Histogram(
    "labelstream_job_seconds",
    "Time of an attempt at a job, from its claim to its end",
    ["queue"],
    buckets=(0.5, 2, 10, 60, 300, 1800, 7200, 28800, 86400),
)
JOB_RUNNING = Gauge("labelstream_job_running", "Jobs that this process works on now", ["queue"])


def introduce_program(program: str) -> None:
    """Say which program this process is, and begin at zero what seldom happens."""
    BUILD.labels(version("labelstream-common"), program).set(1)
    ASKED_AGAIN.labels(USUAL_FAULT)


def introduce_queue(queue: str) -> None:
    """Begin the series of a worker's queue at zero."""
    for outcome in JOB_OUTCOMES:
        JOBS_DONE.labels(queue, outcome)
    JOB_SECONDS.labels(queue)
    JOB_RUNNING.labels(queue)


class HealthCollector(Collector):
    """Turns a process's health into gauges, so that an alert can see what /readyz says."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def collect(self) -> list[GaugeMetricFamily]:
        """Report one gauge for readiness and one sample for everything awaited or degraded."""
        report = self._health.report()
        ready, waiting, degraded = health_gauges()
        ready.add_metric([], float(report["ready"]))
        for what, state in report["waiting"].items():
            waiting.add_metric([what], state["for_s"])
        for what in report["degraded"]:
            degraded.add_metric([what], 1)
        return [ready, waiting, degraded]


def health_gauges() -> Iterable[GaugeMetricFamily]:
    """Return the gauges that `HealthCollector` fills: ready, waiting, degraded."""
    return (
        GaugeMetricFamily("labelstream_ready", "1 when the process waits for nothing"),
        GaugeMetricFamily("labelstream_waiting_seconds", "How long something is awaited", labels=["what"]),
        GaugeMetricFamily("labelstream_degraded", "1 for what works but needs a look", labels=["what"]),
    )


def register_health(health: Health) -> None:
    """Export `health` beside the other metrics of this process."""
    REGISTRY.register(HealthCollector(health))
