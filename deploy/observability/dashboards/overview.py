"""The whole pipeline on a page: whether it stands well, and where it does not."""

from __future__ import annotations

from .asking import G, P, hourly, mean, quantile, rate, spread
from .panels import PROJECT, Dashboard, Limits, Panel, Query, Row, Variable, lines, number, stack
from .shared import ACCURACY, AGREEMENT, API_FAILURES, DRIFT, FOUND, LABEL_TO_LIVE, LAG, LIVE, MODEL, OUTCOMES, PROGRESS

_LIVE = "labelstream_label_to_live_seconds"
_ANSWERS = 'route="/v1/predict"'

_NOW = Row(
    "How it stands",
    (
        number(
            "Programs away",
            "Programs, broker and store that do not answer Prometheus: alerts name them.",
            "none",
            Query(f"count(up{{{G}}} == 0) or vector(0)", "away"),
            limits=Limits(1, 1),
        ),
        number(
            "Alerts",
            "Alerts that fire now. docs/operations.md has a runbook for each.",
            "none",
            Query('count(ALERTS{alertstate="firing"}) or vector(0)', "firing"),
            limits=Limits(1, 3),
        ),
        number(
            "Wait or need a look",
            "What programs wait for, or say that somebody should look at: `labelstream status` names it.",
            "none",
            Query(f"count(labelstream_waiting_seconds{{{G}}} or labelstream_degraded{{{G}}}) or vector(0)", "things"),
            limits=Limits(1, 5),
        ),
        number(
            "Furthest behind",
            "The age of the oldest message that some program has not handled.",
            "s",
            Query(f'max(labelstream_lag_seconds{{{G}, reader!="trainer.mirror"}})', "behind"),
            limits=LAG,
        ),
        LABEL_TO_LIVE,
        number(
            "mAP50 on test",
            "Of the last training that finished, on images that no training saw.",
            "percentunit",
            Query(f"max by (project) (labelstream_trainer_test_map50{{{P}}})", "{{project}}"),
        ),
    ),
)


def _stage(title: str, description: str, unit: str, expr: str, legend: str, limits: Limits | None = None) -> Panel:
    return lines(title, description, unit, Query(expr, legend), width=4, limits=limits)


_RATES = Row(
    "The pipeline, from left to right: what it does",
    (
        _stage(
            "Annotations taken in", "Names that annotation-ingest settled, a second.", "cps",
            rate('labelstream_handled_total{program="annotation-ingest"}', "stream"), "{{stream}}",
        ),
        _stage(
            "Images made", "Originals and variants that the augmenter and its workers wrote, a second.", "cps",
            rate("labelstream_augmenter_variants_total"), "images",
        ),
        _stage(
            "Epochs trained", "Epochs that ended, in the last hour.", "short",
            hourly(f"labelstream_trainer_epochs_total{{{P}}}", "project"), "{{project}}",
        ),
        _stage(
            "Formats exported", "Attempts at exports that came to a good end, in the last hour.", "short",
            hourly('labelstream_jobs_done_total{queue=~"jobs.export.*", outcome="done"}', "queue"), "{{queue}}",
        ),
        _stage(
            "Delivery", "Requests to the public API, a second.", "reqps",
            rate("labelstream_api_requests_total", "status"), "{{status}}",
        ),
        _stage(
            "Images answered", "Images that inference answered with detections, a second.", "cps",
            rate(f"labelstream_predictions_total{{{P}}}", "project"), "{{project}}",
        ),
    ),
)  # fmt: skip

_ERRORS = Row(
    "What goes wrong",
    (
        _stage(
            "Rejected", "Names and messages refused, a second, by rule: see `labelstream parked list`.", "cps",
            rate("labelstream_ingest_rejected_total", "rule"), "{{rule}}",
        ),
        _stage(
            "Left out", "Samples that could not be augmented, a second, by rule.", "cps",
            rate("labelstream_augmenter_left_out_total", "rule"), "{{rule}}",
        ),
        _stage(
            "Trainings that failed", "Of all that were ever requested.", "none",
            f'max by (project) (labelstream_trainer_jobs{{{P}, state="failed"}})', "{{project}}",
        ),
        _stage(
            "Formats refused", "Since the exporter started, by rule. `labelstream models list` says why.", "none",
            f"sum by (rule) (labelstream_exporter_refused_total{{{P}}})", "{{rule}}",
        ),
        _stage(
            "Delivery fails", "Share of the requests to the public API that it could not answer.", "percentunit",
            API_FAILURES.expr, API_FAILURES.legend, Limits(0.01, 0.05),
        ),
        _stage(
            "Problems", "Requests that inference answered with a problem, a second, by rule.", "cps",
            rate("labelstream_problems_total", "rule"), "{{rule}}",
        ),
    ),
)  # fmt: skip


def _lag(program: str) -> Panel:
    told = f'labelstream_lag_seconds{{program="{program}", reader!="trainer.mirror"}}'
    said = "The age of the oldest message that it has not handled; 0 when none waits."
    return _stage(f"{program}: behind", said, "s", f"max by (stream) ({told})", "{{stream}}", LAG)


_LAGS = Row(
    "How far each is behind",
    tuple(map(_lag, ("annotation-ingest", "augmenter", "trainer", "exporter", "exporter-serve", "inference"))),
)

_LABELS = Row(
    "From label to model",
    (
        lines(
            "Label to live",
            "From the newest label that a model learned to its first answer, in the time shown.",
            "s",
            *(
                Query(
                    f"histogram_quantile({share}, sum by (le, project) (increase({_LIVE}_bucket{{{P}}}[$__range])))",
                    f"{{{{project}}}} {name}",
                )
                for share, name in ((0.5, "half"), (0.9, "9 in 10"))
            ),
            limits=LIVE,
        ),
        PROGRESS,
        lines(
            "Waiting labels and trainings",
            "Annotations validated since the last training's cut, and trainings that wait or run.",
            "none",
            Query(f"max by (project) (labelstream_trainer_validated_since_last{{{P}}})", "{{project}} labels"),
            Query(
                f'sum by (project, state) (labelstream_trainer_jobs{{{P}, state=~"requested|started"}})',
                "{{project}} {{state}}",
            ),
        ),
        ACCURACY,
        *AGREEMENT,
    ),
)

_INFERENCE = Row(
    "Inference",
    (
        lines(
            "Latency",
            "From the headers of a request about one image to the last byte of its answer.",
            "s",
            *spread("labelstream_request_seconds", _ANSWERS),
            limits=Limits(0.5, 1),
        ),
        lines(
            "Batch size",
            "Images that one run of the network took, in the mean. On a CPU it is 1.",
            "none",
            Query(mean("labelstream_batch_size"), "mean"),
            Query(quantile(0.99, "labelstream_batch_size"), "99 in 100"),
        ),
        lines(
            "Queue",
            "Requests that wait for a worker, and how many may: one more gets 503.",
            "none",
            Query("sum(labelstream_queue_waiting)", "waiting"),
            Query("sum(labelstream_queue_limit)", "limit"),
        ),
        MODEL,
        DRIFT,
        FOUND,
    ),
)

_WORKERS = Row(
    "Workers",
    (
        stack(
            "Jobs under way",
            "Attempts that workers have in hand, by queue.",
            "none",
            Query("sum by (queue) (labelstream_job_running)", "{{queue}}"),
        ),
        lines(
            "Attempts that ended",
            f"In the last hour, by what became of them: {OUTCOMES}.",
            "short",
            Query(hourly("labelstream_jobs_done_total", "queue, outcome"), "{{queue}} {{outcome}}"),
        ),
        lines(
            "Time of an attempt",
            "From the claim to the end, in the mean, by queue.",
            "s",
            Query(mean("labelstream_job_seconds", by="queue", over="1h"), "{{queue}}"),
        ),
    ),
)

DASHBOARD = Dashboard(
    "overview",
    "Labelstream: overview",
    "Whether labels become models, where they wait, and how the models do.",
    (PROJECT, Variable("program", "Program", "label_values(up, program)")),
    (_NOW, _RATES, _ERRORS, _LAGS, _LABELS, _INFERENCE, _WORKERS),
)
