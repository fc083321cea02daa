"""What the exporter's decider measures, beside what every service does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client import Counter, Gauge, Histogram

from labelstream.events.model import Agreement
from labelstream.exports import WaitingFormat
from labelstream.models import ModelBook

OUTCOMES = ("exported", "withdrawn", "refused")
NO_FORMAT = "export.no_format"  # a training of which no format is left
USUAL_RULES = ("export.disagrees", "export.unproven", "export.no_worker", "export.took_too_long")  # of a format

MODELS = Gauge(
    "labelstream_exporter_models",
    "Models and trainings without one: exported (later editions not counted), withdrawn, refused (no format is left)",
    ["project", "outcome"],
)
REFUSED = Counter(
    "labelstream_exporter_refused_total",
    "Formats that were refused, by rule; without a format: trainings of which no format is left",
    ["project", "format", "rule"],
)
WAITING = Gauge(
    "labelstream_exporter_formats_waiting",
    "Trainings for which nobody can build this format now",
    ["project", "format"],
)
WAITING_SECONDS = Gauge(
    "labelstream_exporter_waiting_seconds",
    "How long the oldest format has waited that nobody can build now, since its training ended; 0: none waits",
    ["project"],
)
EXPORT_SECONDS = Histogram(
    "labelstream_exporter_export_seconds",
    "Time that a worker took to build a format and to prove it",
    ["format"],
    buckets=(1, 2, 5, 10, 20, 60, 180, 600, 1800, 7200),
)
AGREEMENT_SCORE = Gauge(
    "labelstream_exporter_agreement_score",
    "Largest difference of a score from the trained weights, in the last proof of a format",
    ["project", "format"],
)
AGREEMENT_BOX = Gauge(
    "labelstream_exporter_agreement_box_pixels",
    "Largest difference of a corner from the trained weights, in the last proof of a format",
    ["project", "format"],
)


def measure_models(book: ModelBook) -> None:
    """Show what became of the models."""
    found: dict[tuple[str, str], int] = {}
    for state in book.models.values():
        if state.exported.edition == 1:
            outcome = "withdrawn" if state.withdrawn else "exported"
            found[state.project, outcome] = found.get((state.project, outcome), 0) + 1
    for refusals in book.refusals.values():
        for refusal in refusals:
            if refusal.event.format is None:
                found[refusal.project, "refused"] = found.get((refusal.project, "refused"), 0) + 1
    for project in {project for project, _ in found}:
        for outcome in OUTCOMES:
            MODELS.labels(project, outcome).set(found.get((project, outcome), 0))


def measure_waiting(waiting: Mapping[str, Iterable[WaitingFormat]], now_ms: int) -> None:
    """Show what waits, by project."""
    WAITING.clear()
    for project, formats in waiting.items():
        oldest = now_ms
        for each in formats:
            WAITING.labels(project, each.format).inc()
            oldest = min(oldest, each.since_ms)
        WAITING_SECONDS.labels(project).set((now_ms - oldest) / 1000)


def measure_export(project: str, format_name: str, seconds: float, agreement: Agreement | None) -> None:
    """Count a finished export."""
    EXPORT_SECONDS.labels(format_name).observe(seconds)
    if agreement is not None:
        AGREEMENT_SCORE.labels(project, format_name).set(agreement.max_score)
        AGREEMENT_BOX.labels(project, format_name).set(agreement.max_box_px)


def introduce(projects: Iterable[str], formats: Iterable[str]) -> None:
    """Begin at zero what seldom happens, so that it can be seen to rise."""
    names = tuple(formats)
    for project in projects:
        for outcome in OUTCOMES:
            MODELS.labels(project, outcome)
        WAITING_SECONDS.labels(project)
        REFUSED.labels(project, "", NO_FORMAT)
        for name in names:
            for rule in USUAL_RULES:
                REFUSED.labels(project, name, rule)
