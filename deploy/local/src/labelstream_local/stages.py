"""What each program counts as its work and as its errors, in terms of its metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from prometheus_client.samples import Sample

from labelstream_local.scrapes import Scrape

OPERATORS = ("/healthz", "/readyz", "/metrics")  # asking how it is is no work


def _every(_: Sample) -> bool:
    return True


@dataclass(frozen=True)
class Count:
    """Some samples of one series, added up."""

    name: str
    counts: Callable[[Sample], bool] = _every

    def total(self, scrape: Scrape) -> float | None:
        """Return the sum; None when the program has no such series."""
        if self.name not in scrape.samples:
            return None
        return sum(sample.value for sample in scrape.of(self.name) if self.counts(sample))


@dataclass(frozen=True)
class Counts:
    """What a program does."""

    unit: str
    done: Count
    errors: Count


def _outcome(*names: str) -> Callable[[Sample], bool]:
    return lambda sample: sample.labels["outcome"] in names


def _no_outcome(*names: str) -> Callable[[Sample], bool]:
    return lambda sample: sample.labels["outcome"] not in names


def _failed(sample: Sample) -> bool:
    return sample.labels.get("state") == "failed"


def _asked(sample: Sample) -> bool:
    return sample.labels["route"] not in OPERATORS


def _fault(sample: Sample) -> bool:
    return _asked(sample) and sample.labels["status"].startswith("5")


JOBS = Counts(
    "jobs",
    Count("labelstream_jobs_done_total", _outcome("done")),
    Count("labelstream_jobs_done_total", _no_outcome("done")),
)
BY_PROGRAM: Mapping[str, Counts] = {
    "annotation-ingest": Counts(
        "annotations",
        Count("labelstream_handled_total", _no_outcome("rejected")),
        Count("labelstream_handled_total", _outcome("rejected")),
    ),
    "augmenter": Counts(
        "images",
        Count("labelstream_handled_total", _outcome("augmented")),
        Count("labelstream_handled_total", _outcome("left_out")),
    ),
    "trainer": Counts("epochs", Count("labelstream_trainer_epochs_total"), Count("labelstream_trainer_jobs", _failed)),
    "exporter": Counts(
        "models",
        Count("labelstream_exporter_models", _outcome("exported", "withdrawn")),  # it was exported, too
        Count("labelstream_exporter_refused_total"),
    ),
    "exporter-serve": Counts(
        "requests", Count("labelstream_api_requests_total"), Count("labelstream_api_requests_total", _fault)
    ),
    "inference": Counts(
        "requests", Count("labelstream_requests_total", _asked), Count("labelstream_requests_total", _fault)
    ),
}
