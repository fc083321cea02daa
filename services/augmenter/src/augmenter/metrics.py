"""What the augmenter counts, beside what every service does."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.service.metrics import HANDLED, HANDLING

VARIANTS = Counter("labelstream_augmenter_variants_total", "Images written into archives, originals included")
LEFT_OUT_RULES = (
    "image.unreadable",
    "image.untransformable",
    "image.slow",
    "image.crash",
    "image.failed",
    "image.missing",
    "image.changed",
)

LEFT_OUT = Counter("labelstream_augmenter_left_out_total", "Samples that could not be augmented, by rule", ["rule"])
REWRITTEN = Counter("labelstream_augmenter_archives_rewritten_total", "Archives that erased images were taken out of")
COLLECTED = Gauge("labelstream_augmenter_collected", "Samples that wait for their batch to close", ["project"])
IN_FLIGHT = Gauge("labelstream_augmenter_batches_in_flight", "Closed batches that are not answered yet", ["project"])
RENDERING = Gauge("labelstream_augmenter_rendering", "Images that are in a process, or ready for one")
OFFERED = Gauge("labelstream_augmenter_archives_offered", "Archives that workers were asked for and have not made yet")


def introduce(project: str) -> None:
    """Begin at zero what seldom happens, so that it can be seen to rise."""
    for outcome in ("augmented", "left_out"):
        HANDLED.labels(ANNOTATION_EVENTS, outcome)
    HANDLING.labels(ANNOTATION_EVENTS)
    for rule in LEFT_OUT_RULES:
        LEFT_OUT.labels(rule)
    COLLECTED.labels(project)
    IN_FLIGHT.labels(project)
