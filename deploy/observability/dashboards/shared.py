"""Panels that stand on more than one dashboard."""

from __future__ import annotations

from dataclasses import replace

from .asking import G, P, mean, rate
from .panels import Limits, Panel, Query, Row, lines, names, number

LAG = Limits(120, 600)  # seconds; the alert StreamLags begins at the second
LIVE = Limits(14_400, 86_400)  # seconds; the alert LabelsTakeLongToGoLive begins at the second
# What becomes of a worker's attempt at a job.
OUTCOMES = "done, failed (for good), again, lost (another worker took it over)"
_API, _FAILED = "labelstream_api_requests_total", 'labelstream_api_requests_total{status=~"5.."}'
API_FAILURES = Query(f"({rate(_FAILED)} or vector(0)) / {rate(_API)}", "failed")

LABEL_TO_LIVE = number(
    "Label to live",
    "From the newest label that a model learned to its first answer: the mean of what went live in the time shown.",
    "s",
    Query(mean("labelstream_label_to_live_seconds", P, "project", "$__range"), "{{project}}"),
    limits=LIVE,
)
PROGRESS = lines(
    "Training progress",
    "Epochs behind the oldest running training, of those that it will have; 0 while none runs.",
    "percentunit",
    Query(
        f"max by (project) (labelstream_trainer_epoch{{{P}}})"
        f" / clamp_min(max by (project) (labelstream_trainer_epochs_planned{{{P}}}), 1)",
        "{{project}}",
    ),
)
ACCURACY = lines(
    "Accuracy on test",
    "Of the last training that finished, on images that no training saw.",
    "percentunit",
    Query(f"max by (project) (labelstream_trainer_test_map50{{{P}}})", "{{project}} mAP50"),
    Query(f"max by (project) (labelstream_trainer_test_map50_95{{{P}}})", "{{project}} mAP50-95"),
)
AGREEMENT = (
    lines(
        "Export agreement: scores",
        "The largest difference of a score from the trained weights, in the last proof of each format.",
        "none",
        Query(f"max by (project, format) (labelstream_exporter_agreement_score{{{P}}})", "{{project}} {{format}}"),
    ),
    lines(
        "Export agreement: boxes",
        "The largest difference of a corner from the trained weights, in pixels, in the last proof of each format.",
        "none",
        Query(f"max by (project, format) (labelstream_exporter_agreement_box_pixels{{{P}}})", "{{project}} {{format}}"),
    ),
)
MODEL = names(
    "Model in service",
    "The project, its model, the artifact that runs, the dataset behind it. Two of a project: replicas disagree.",
    Query(
        f"max by (project, model, artifact, backend, dataset) (labelstream_model_info{{{P}}})",
        "{{project}}: {{model}} as {{artifact}} by {{backend}}, of dataset {{dataset}}",
    ),
)
DRIFT = lines(
    "Drift",
    "How far the newest answers' mix is from the test images': 0 the same, 1 nothing in common. From 100 answers on.",
    "none",
    Query(f"max by (project, kind) (labelstream_drift{{{P}}})", "{{project}} {{kind}}"),
    limits=Limits(0.15, 0.25),
)
FOUND = lines(
    "Detections in an image",
    "In the mean of the newest answers, and on the test images.",
    "none",
    Query(f"avg by (project, of) (labelstream_detections_per_image{{{P}}})", "{{project}} {{of}}"),
)


def wide(panel: Panel, width: int) -> Panel:
    """Return a panel of another width."""
    return replace(panel, width=width)


def behind(reader: str, width: int = 8) -> tuple[Panel, Panel]:
    """Return how far readers of streams are behind, in seconds and in messages."""
    told = f'{{reader=~"{reader}"}}'
    return (
        lines(
            "Behind, in time",
            "The age of the oldest message that is not handled; 0 when none waits.",
            "s",
            Query(f"max by (program, stream) (labelstream_lag_seconds{told})", "{{program}} {{stream}}"),
            width=width,
            limits=LAG,
        ),
        lines(
            "Behind, in messages",
            "At most so many messages are not handled.",
            "short",
            Query(f"max by (program, stream) (labelstream_lag_messages{told})", "{{program}} {{stream}}"),
            width=width,
        ),
    )


def processes() -> Row:
    """Return how the processes of the chosen programs fare."""
    waits = f"max by (program, what) (labelstream_waiting_seconds{{{G}}})"
    ready = f"0 * max by (program) (labelstream_ready{{{G}}})"
    return Row(
        "Processes",
        (
            lines(
                "Waits for",
                "For how long each program has waited for what; 0: it is ready. /readyz gives the reason.",
                "s",
                Query(f"{waits} or {ready}", "{{program}} {{what}}"),
                width=6,
                limits=Limits(60, 300),
            ),
            lines(
                "Processor",
                "Processors in use: 1 is one core.",
                "none",
                Query(rate(f"process_cpu_seconds_total{{{G}}}", "program, instance"), "{{program}} {{instance}}"),
                width=6,
            ),
            lines(
                "Memory",
                "Resident memory of each process; its subprocesses (a training, an export) are not counted.",
                "bytes",
                Query(f"process_resident_memory_bytes{{{G}}}", "{{program}} {{instance}}"),
                width=6,
            ),
            lines(
                "Up for",
                "How long each process has run: a saw is a process that dies again and again.",
                "s",
                Query(f"time() - process_start_time_seconds{{{G}}}", "{{program}} {{instance}}"),
                width=6,
            ),
        ),
    )
