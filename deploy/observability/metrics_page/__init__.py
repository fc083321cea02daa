"""The page of all metrics, made from the code that counts: `make docs` writes docs/metrics.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import ModuleType

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics import MetricWrapperBase

import annotation_ingest.metrics
import augmenter.metrics
import exporter.access.metrics
import exporter.delivery.metrics
import exporter.metrics
import inference.metrics
import trainer.metrics
from labelstream.service import metrics as shared
from labelstream.streams.lag import READERS

HEAD = """# Metrics

What every program says at `/metrics`, in Prometheus' text format. Made from the code by `make docs`; a test keeps it
true. Each program also has Prometheus' own figures of its process (`process_…`, `python_…`). What is rare begins at
zero, so that `increase()` sees the first time. Where a metric is *at most* so many messages: a stream's own records
use up offsets, too.
"""

Told = MetricWrapperBase | GaugeMetricFamily


@dataclass(frozen=True)
class Section:
    """Metrics that the same programs have."""

    title: str
    programs: str
    metrics: tuple[Told, ...]


def page() -> str:
    """Return the whole page."""
    return "\n".join([HEAD, *(_section(one) for one in sections())])


def sections() -> Iterator[Section]:
    """Give the page's parts; each metric stands in one."""
    readers = "annotation-ingest, augmenter, trainer, exporter, exporter-serve, inference"
    writers = "annotation-ingest, augmenter, trainer, exporter, exporter-serve"
    handlers = "annotation-ingest, augmenter, trainer, exporter, exporter-serve"
    workers = "augmenter, augmenter-work, trainer, trainer-work, exporter-work, inference-annotate"
    everybody: tuple[Told, ...] = (shared.BUILD, *shared.health_gauges(), shared.ASKED_AGAIN)
    yield Section("Every program", "", everybody)
    yield Section("Readers of streams", readers, tuple(READERS.describe()))
    yield Section("Handlers of streams", handlers, (shared.HANDLED, shared.OFFSET, shared.HANDLING))
    yield Section("Writers of streams", writers, (shared.PUBLISHED,))
    yield Section("Workers", workers, (shared.JOBS_DONE, shared.JOB_SECONDS, shared.JOB_RUNNING))
    for program, modules in OWN.items():
        yield Section(program, "", tuple(_of(modules)))


OWN: dict[str, tuple[ModuleType, ...]] = {
    "annotation-ingest": (annotation_ingest.metrics,),
    "augmenter": (augmenter.metrics,),
    "trainer": (trainer.metrics,),
    "exporter": (exporter.metrics, exporter.access.metrics),
    "exporter-serve": (exporter.delivery.metrics,),
    "inference": (inference.metrics,),
}


def _of(modules: Iterable[ModuleType]) -> Iterator[Told]:
    """Give what modules count, and the gauges that are made when somebody asks."""
    common = set(map(id, vars(shared).values()))
    for module in modules:
        for value in vars(module).values():
            if isinstance(value, MetricWrapperBase) and id(value) not in common:
                yield value
    if inference.metrics in modules:
        made = (inference.metrics.drift_gauge(), inference.metrics.per_image_gauge(), inference.metrics.model_gauge())
        yield from (*made, *inference.metrics.queue_gauges())


def _section(section: Section) -> str:
    rows = "\n".join(map(_row, section.metrics))
    programs = f"{section.programs}.\n\n" if section.programs else ""
    return f"## {section.title}\n\n{programs}| metric | kind | labels | meaning |\n|---|---|---|---|\n{rows}\n"


def _row(metric: Told) -> str:
    told = next(iter(metric.describe())) if isinstance(metric, MetricWrapperBase) else metric
    name = f"{told.name}_total" if told.type == "counter" else told.name
    # prometheus_client keeps the names of a metric's labels to itself.
    labels = ", ".join(f"`{label}`" for label in metric._labelnames)  # noqa: SLF001
    return f"| `{name}` | {told.type} | {labels} | {told.documentation} |"
