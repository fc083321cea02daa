"""The metrics of inference, each once with its meaning."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily

PREDICTIONS = Counter("labelstream_predictions_total", "Images answered with detections", ["project", "model"])
REFUSED = Counter("labelstream_problems_total", "Requests answered with a problem, by rule", ["rule"])
STEPS = Histogram(
    "labelstream_prediction_seconds",
    "Time of one step of an answer: wait, decode, pre_process, forward, post_process",
    ["step"],
    buckets=(0.0005, 0.002, 0.01, 0.03, 0.1, 0.3, 1, 5),
)
ACTIVATIONS = Counter(
    "labelstream_activations_total",
    "Promotions followed, refused, or waiting for a grant (ungranted)",
    ["project", "outcome"],
)
PROBATION = Gauge("labelstream_probation", "1 while a new model is on probation", ["project"])
REVERTS = Counter("labelstream_reverts_total", "Models that went back on probation, by rule", ["project", "rule"])
PROMOTION = Gauge("labelstream_promotion", "Number of the promotion in service", ["project"])

KEY_OUTCOMES = ("allowed", "limited", "not_for_project", "expired", "revoked")
KEY_REQUESTS = Counter(
    "labelstream_key_requests_total",
    "Requests by API key (its id; empty: none that counts), and what became of them at the gate: allowed, limited, "
    "not_for_project, expired, revoked; missing, unknown, guessing (too many unknown ones). Keys that are gone go",
    ["key", "outcome"],
)

REQUESTS = Counter(
    "labelstream_requests_total", "Requests by the address's pattern, method and status", ["route", "method", "status"]
)
REQUEST_SECONDS = Histogram(
    "labelstream_request_seconds",
    "From a request's headers to the last byte of its answer, by the address's pattern",
    ["route"],
    buckets=(0.002, 0.01, 0.03, 0.06, 0.1, 0.2, 0.5, 1, 3, 10, 60),
)

STREAMS = Gauge("labelstream_streams", "Batches and videos that are answered now")
VIDEO_FRAMES = Counter("labelstream_video_frames_total", "Frames of videos that were gone through, answered or not")

DETECTIONS = Counter(
    "labelstream_detections_total", "Detections in answers at the model's own thresholds", ["project", "class"]
)


LABEL_TO_LIVE = Histogram(
    "labelstream_label_to_live_seconds",
    "From the receipt of the newest validated annotation that a model learned to its first answers here: once for each "
    "promotion by policy or request, and not when a replica begins with one",
    ["project"],
    buckets=(60, 300, 900, 1800, 3600, 7200, 14400, 28800, 86400, 172800, 604800, 2592000),
)
BATCH_SIZE = Histogram(
    "labelstream_batch_size",
    "Images that a run of the network answered; a run on the CPU takes one",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
)


def queue_gauges() -> tuple[GaugeMetricFamily, GaugeMetricFamily]:
    """Return the gauges of the queue, which `showing.py` fills when asked: what waits, and how much may."""
    return (
        GaugeMetricFamily("labelstream_queue_waiting", "Requests that wait for a free worker"),
        GaugeMetricFamily("labelstream_queue_limit", "Requests that may wait; one more is answered with 503"),
    )


def model_gauge() -> GaugeMetricFamily:
    """Return the gauge of what serves; `showing.py` fills it when asked."""
    return GaugeMetricFamily(
        "labelstream_model_info",
        "1, with the model that answers for a project, what of its bundle runs in what, and the dataset it learned",
        labels=["project", "model", "artifact", "backend", "dataset"],
    )


def drift_gauge() -> GaugeMetricFamily:
    """Return the gauge of how far answers have gone from what the test images gave; `drift/` fills it when asked."""
    return GaugeMetricFamily(
        "labelstream_drift",
        "Jensen-Shannon distance of the newest answers' mix from the test images': 0 the same, 1 nothing in common",
        labels=["project", "model", "kind"],  # confidence, classes
    )


def per_image_gauge() -> GaugeMetricFamily:
    """Return the gauge of how much is found in an image; `drift/` fills it when asked."""
    return GaugeMetricFamily(
        "labelstream_detections_per_image",
        "Detections in an image, in the mean of the newest answers (live) and of the test images (test)",
        labels=["project", "model", "of"],
    )


def start_at_zero(projects: Iterable[str], revert_rules: Sequence[str]) -> None:
    """Show what seldom happens before it has happened: Prometheus sees no increase in a series that begins with one."""
    for project in projects:
        for outcome in ("activated", "refused", "ungranted", "reverted"):
            ACTIVATIONS.labels(project, outcome)
        for rule in revert_rules:
            REVERTS.labels(project, rule)
        LABEL_TO_LIVE.labels(project)
    for outcome in ("missing", "unknown", "guessing"):
        KEY_REQUESTS.labels("", outcome)
    for rule in ("server.busy", "server.fault", "deadline.too_short", "deadline.passed"):
        REFUSED.labels(rule)
