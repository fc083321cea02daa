"""When trainings are due, how they go, and what comes out."""

from __future__ import annotations

from dataclasses import replace

from .asking import P, hourly, mean
from .panels import PROJECT, Dashboard, Limits, Query, Row, Shape, lines, number, program, stack
from .shared import ACCURACY, OUTCOMES, PROGRESS, behind, processes

_NOW = Row(
    "Now",
    (
        replace(PROGRESS, shape=Shape.NUMBER, width=4, height=4),
        number(
            "Has run for",
            "How long the oldest running training has run; 0 while none runs.",
            "s",
            Query(f"max by (project) (labelstream_trainer_running_seconds{{{P}}})", "{{project}}"),
        ),
        number(
            "Silent for",
            "For how long no epoch ended in a running training.",
            "s",
            Query(f"max by (project) (labelstream_trainer_silent_seconds{{{P}}})", "{{project}}"),
            limits=Limits(1_800, 3_600),
        ),
        number(
            "Waits for a worker",
            "How long the oldest training has waited for a worker to begin.",
            "s",
            Query(f"max by (project) (labelstream_trainer_unclaimed_seconds{{{P}}})", "{{project}}"),
            limits=Limits(120, 600),
        ),
        number(
            "New labels",
            "Annotations validated since the last training's cut.",
            "none",
            Query(f"max by (project) (labelstream_trainer_validated_since_last{{{P}}})", "{{project}}"),
        ),
        number(
            "mAP50 gained",
            "mAP50 of the last training that finished less that of the model then in service; 0: no two are known.",
            "percentunit",
            Query(f"max by (project) (labelstream_trainer_test_map50_gain{{{P}}}) or vector(0)", "{{project}}"),
        ),
    ),
)

_COURSE = Row(
    "The course of trainings",
    (
        stack(
            "Trainings",
            "How many wait, run, finished, failed or were cancelled, of all that were ever requested.",
            "none",
            Query(f"max by (project, state) (labelstream_trainer_jobs{{{P}}})", "{{project}} {{state}}"),
        ),
        lines(
            "Epochs",
            "Epochs that ended, in the last hour.",
            "short",
            Query(hourly(f"labelstream_trainer_epochs_total{{{P}}}", "project"), "{{project}}"),
        ),
        lines(
            "mAP50 on validation",
            "After the last epoch of the oldest running training.",
            "percentunit",
            Query(f"max by (project) (labelstream_trainer_validation_map50{{{P}}})", "{{project}}"),
        ),
        ACCURACY,
        lines(
            "Went on by themselves",
            "Times that a training went on after trouble, in the time shown, by what went wrong: only time was lost.",
            "none",
            Query(
                f"sum by (project, rule) (increase(labelstream_trainer_recoveries_total{{{P}}}[$__range]))",
                "{{project}} {{rule}}",
            ),
        ),
        lines(
            "Requests refused",
            "Requests by hand that were refused, since the trainer started, by rule.",
            "none",
            Query("sum by (rule) (labelstream_trainer_requests_refused_total)", "{{rule}}"),
        ),
    ),
)

_WORKERS = Row(
    "Workers, and where the trainer stands",
    (
        lines(
            "Attempts that ended",
            f"In the last hour, by what became of them: {OUTCOMES}.",
            "short",
            Query(
                hourly('labelstream_jobs_done_total{queue="jobs.train"}', "program, outcome"),
                "{{program}} {{outcome}}",
            ),
            width=6,
        ),
        lines(
            "Time of an attempt",
            "From the claim to the end, in the mean.",
            "s",
            Query(mean("labelstream_job_seconds", 'queue="jobs.train"', "program", "1h"), "{{program}}"),
            width=6,
        ),
        *behind("trainer.*", 6),
    ),
)

DASHBOARD = Dashboard(
    "training",
    "Labelstream: training",
    "When trainings are due, how they go, and what comes out.",
    (PROJECT, program("trainer.*")),
    (_NOW, _COURSE, _WORKERS, processes()),
)
