"""What services say of themselves at one moment: /readyz and /metrics."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from labelstream_local.asking import get
from labelstream_local.reports import Report, ask

AT_ONCE = 16
PATIENCE_S = 3.0


@dataclass(frozen=True)
class Scrape:
    """One program's answers; no report, and no samples, where it did not give one."""

    at: float  # seconds of the monotonic clock
    report: Report | None = None
    samples: Mapping[str, Sequence[Sample]] = field(default_factory=dict)  # by name

    def of(self, name: str, **wanted: str) -> Iterator[Sample]:
        """Give the samples of a series whose labels are these, whatever others they have."""
        for sample in self.samples.get(name, ()):
            if wanted.items() <= sample.labels.items():
                yield sample

    def total(self, name: str, **wanted: str) -> float | None:
        """Return the sum of those samples; None when there is none."""
        values = [sample.value for sample in self.of(name, **wanted)]
        return sum(values) if values else None

    @property
    def program(self) -> str | None:
        """Which program answered."""
        return next((sample.labels["program"] for sample in self.of("labelstream_build_info")), None)


def scrape(url: str) -> Scrape:
    """Ask a program for both; what it does not answer is not there."""
    at, report = time.monotonic(), ask(url)
    return Scrape(at, report, read_samples(_text(f"{url}/metrics")) if report is not None else {})


def scrape_all(addresses: Mapping[str, str]) -> dict[str, Scrape]:
    """Ask several programs at once, by name."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return dict(zip(addresses, threads.map(scrape, addresses.values()), strict=True))


def read_samples(text: str) -> dict[str, list[Sample]]:
    """Read what /metrics answers; what is no such text counts as nothing."""
    found: dict[str, list[Sample]] = {}
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found.setdefault(sample.name, []).append(sample)
    except ValueError:  # something else answers there
        return {}
    return found


def _text(url: str) -> str:
    try:
        answer = get(url, timeout_s=PATIENCE_S)
    except httpx.HTTPError:
        return ""
    return answer.text if answer.status_code == httpx.codes.OK else ""
