"""How inference answers: how fast, with which model, and whether the world still looks as in the test images."""

from __future__ import annotations

from .asking import G, P, hourly, mean, quantile, rate
from .panels import PROJECT, Dashboard, Limits, Query, Row, lines, number, program, stack
from .shared import DRIFT, FOUND, LABEL_TO_LIVE, MODEL, behind, processes, wide

_ONE = f'{G}, route="/v1/predict"'

_ANSWERS = Row(
    "Answers",
    (
        stack(
            "Requests",
            "A second, by address and status.",
            "reqps",
            Query(rate(f"labelstream_requests_total{{{G}}}", "route, status"), "{{route}} {{status}}"),
        ),
        lines(
            "Latency of one image",
            "From the request's headers to the last byte of its answer.",
            "s",
            Query(quantile(0.5, "labelstream_request_seconds", _ONE), "half"),
            Query(quantile(0.9, "labelstream_request_seconds", _ONE), "9 in 10"),
            Query(quantile(0.99, "labelstream_request_seconds", _ONE), "99 in 100"),
            limits=Limits(0.5, 1),
        ),
        lines(
            "Problems",
            "Requests answered with a problem, a second, by rule: server.fault is ours, server.busy the load's.",
            "cps",
            Query(rate(f"labelstream_problems_total{{{G}}}", "rule"), "{{rule}}"),
        ),
        stack(
            "Steps of an answer",
            "Mean time of each step: wait (for a core), decode, pre_process, forward (the network), post_process.",
            "s",
            Query(mean("labelstream_prediction_seconds", G, "step"), "{{step}}"),
        ),
        lines(
            "Queue",
            "Requests of each replica that wait for a worker, and how many may: one more gets 503.",
            "none",
            Query(f"labelstream_queue_waiting{{{G}}}", "{{instance}} waiting"),
            Query(f"max(labelstream_queue_limit{{{G}}})", "limit of a replica"),
        ),
        lines(
            "Batch size",
            "Images that one run of the network took. On a CPU it is 1.",
            "none",
            Query(mean("labelstream_batch_size", G), "mean"),
            Query(quantile(0.99, "labelstream_batch_size", G), "99 in 100"),
        ),
        lines(
            "Images",
            "Images answered with detections, a second, by model.",
            "cps",
            Query(rate(f"labelstream_predictions_total{{{P}}}", "project, model"), "{{project}} {{model}}"),
        ),
        lines(
            "Batches and videos",
            "Those that are answered now, and the frames that are gone through, a second.",
            "none",
            Query(f"sum(labelstream_streams{{{G}}})", "batches and videos"),
            Query(rate(f"labelstream_video_frames_total{{{G}}}"), "frames a second"),
        ),
        lines(
            "API keys",
            "Requests by what became of them at the gate, a second. Nothing is counted where everybody may ask.",
            "cps",
            Query(rate(f"labelstream_key_requests_total{{{G}}}", "outcome"), "{{outcome}}"),
        ),
    ),
)

_MODELS = Row(
    "Models",
    (
        wide(MODEL, 12),
        lines(
            "Promotion in service",
            "The number of the promotion that each replica follows. Lines that part are replicas that disagree.",
            "none",
            Query(f"labelstream_promotion{{{P}}}", "{{project}} {{instance}}"),
            width=6,
        ),
        lines(
            "Promotions",
            "Followed, refused or gone back on, since the replicas started.",
            "none",
            Query(f"sum by (project, outcome) (labelstream_activations_total{{{P}}})", "{{project}} {{outcome}}"),
            width=6,
        ),
        lines(
            "On probation",
            "1 while a new model is watched, and the one before stands behind it.",
            "none",
            Query(
                f"max by (project, instance) (labelstream_probation{{{P}}})"
                f" or 0 * max by (project, instance) (labelstream_promotion{{{P}}})",
                "{{project}} {{instance}}",
            ),
            width=6,
        ),
        lines(
            "Went back",
            "Models that went back on probation, since the replicas started, by rule.",
            "none",
            Query(f"sum by (project, rule) (labelstream_reverts_total{{{P}}})", "{{project}} {{rule}}"),
            width=6,
        ),
        wide(LABEL_TO_LIVE, 6),
        number(
            "New models",
            "Models that went into service in the last hour, on any replica.",
            "none",
            Query(hourly(f'labelstream_activations_total{{{P}, outcome="activated"}}', "project"), "{{project}}"),
            width=6,
        ),
    ),
)

_WORLD = Row(
    "What it sees, beside the test images",
    (
        DRIFT,
        FOUND,
        stack(
            "Detections",
            "A second, by class, at the model's own thresholds.",
            "cps",
            Query(rate(f"labelstream_detections_total{{{P}}}", "project, class"), "{{project}} {{class}}"),
        ),
    ),
)

DASHBOARD = Dashboard(
    "inference",
    "Labelstream: inference",
    "How fast inference answers, with which model, and whether the world still looks as in the test images.",
    (PROJECT, program("inference.*")),
    (_ANSWERS, _MODELS, _WORLD, Row("Where it stands", behind("inference", 12)), processes()),
)
