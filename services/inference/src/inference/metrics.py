"""The metrics of inference, each once with its meaning."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

PREDICTIONS = Counter("labelstream_predictions_total", "Images answered with detections", ["project", "model"])
REFUSED = Counter("labelstream_problems_total", "Requests answered with a problem, by rule", ["rule"])
STEPS = Histogram(
    "labelstream_prediction_seconds",
    "Time of one step of an answer: wait, decode, pre_process, forward, post_process",
    ["step"],
    buckets=(0.0005, 0.002, 0.01, 0.03, 0.1, 0.3, 1, 5),
)
ACTIVATIONS = Counter("labelstream_activations_total", "Promotions followed or refused", ["project", "outcome"])
PROMOTION = Gauge("labelstream_promotion", "Number of the promotion in service", ["project"])
