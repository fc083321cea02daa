"""How trained weights become proved, signed models, and how they are delivered."""

from __future__ import annotations

from .asking import P, hourly, mean, rate, spread
from .panels import PROJECT, Dashboard, Limits, Query, Row, lines, number, program, stack
from .shared import AGREEMENT, API_FAILURES, OUTCOMES, behind, processes

_EXPORTS = 'queue=~"jobs.export.*"'

_MODELS = Row(
    "Models",
    (
        number(
            "Models",
            "Exported and withdrawn ones, and trainings of which no format was left.",
            "none",
            Query(f"max by (project, outcome) (labelstream_exporter_models{{{P}}})", "{{project}} {{outcome}}"),
            width=12,
        ),
        number(
            "Formats that wait",
            "Trainings for which nobody can build some format now. `labelstream models list` names the formats.",
            "none",
            Query(f"sum by (project) (labelstream_exporter_formats_waiting{{{P}}}) or vector(0)", "{{project}}"),
            width=6,
            limits=Limits(1, 5),
        ),
        number(
            "The oldest waits for",
            "Since its training ended.",
            "s",
            Query(f"max by (project) (labelstream_exporter_waiting_seconds{{{P}}})", "{{project}}"),
            width=6,
            limits=Limits(600, 3_600),
        ),
    ),
)

_PROOF = Row(
    "Exports and their proof",
    (
        *AGREEMENT,
        lines(
            "Refused",
            "Formats refused since the exporter started, by rule; without a format: trainings that got no model.",
            "none",
            Query(
                f"sum by (project, format, rule) (labelstream_exporter_refused_total{{{P}}})",
                "{{project}} {{format}} {{rule}}",
            ),
        ),
        lines(
            "Building and proving",
            "How long a worker took for a format: the mean since the exporter started.",
            "s",
            Query(
                "sum by (format) (labelstream_exporter_export_seconds_sum)"
                " / sum by (format) (labelstream_exporter_export_seconds_count)",
                "{{format}}",
            ),
        ),
        lines(
            "Attempts that ended",
            f"In the last hour, by what became of them: {OUTCOMES}.",
            "short",
            Query(hourly(f"labelstream_jobs_done_total{{{_EXPORTS}}}", "queue, outcome"), "{{queue}} {{outcome}}"),
        ),
        lines(
            "Time of an attempt",
            "From the claim to the end, in the mean of the last hour.",
            "s",
            Query(mean("labelstream_job_seconds", _EXPORTS, "queue", "1h"), "{{queue}}"),
        ),
    ),
)

_DELIVERY = Row(
    "Delivery: the public API",
    (
        stack(
            "Requests",
            "A second, by address.",
            "reqps",
            Query(rate("labelstream_api_requests_total", "route"), "{{route}}"),
            width=6,
        ),
        lines(
            "Failures",
            "Share of the requests that it could not answer.",
            "percentunit",
            API_FAILURES,
            width=6,
            limits=Limits(0.01, 0.05),
        ),
        lines(
            "Latency",
            "Of all addresses together. A device that waits for a grant to be made waits on purpose.",
            "s",
            *spread("labelstream_api_seconds"),
            width=6,
        ),
        lines(
            "Grants",
            "In the last hour: there (already), made (while the device waited), pending (it was told to ask again).",
            "short",
            Query(hourly("labelstream_grants_total", "outcome"), "{{outcome}}"),
            width=6,
        ),
    ),
)

_ACCESS = Row(
    "Access",
    (
        lines(
            "Logins",
            "In the last hour, by what the password was.",
            "short",
            Query(hourly("labelstream_logins_total", "outcome"), "{{outcome}}"),
            width=6,
        ),
        lines(
            "Locks",
            "Locks that wrong passwords led to, in the last hour: of accounts and of addresses.",
            "short",
            Query(hourly("labelstream_lockouts_total", "of"), "{{of}}"),
            width=6,
            limits=Limits(5, 40),
        ),
        lines(
            "Audit log",
            "Entries that wait for the broker's confirm. Nothing is handed out before.",
            "none",
            Query("max by (instance) (labelstream_audit_waiting)", "{{instance}} waiting"),
            width=6,
            limits=Limits(1, 10),
        ),
        lines(
            "Requests by hand that were refused",
            "To promote, roll back, withdraw, enrol and so on: since the exporter started, by rule.",
            "none",
            Query("sum by (rule) (labelstream_exporter_requests_refused_total)", "{{rule}}"),
            width=6,
        ),
    ),
)

DASHBOARD = Dashboard(
    "exporter",
    "Labelstream: exporter",
    "How trained weights become proved, signed models, and how they are delivered.",
    (PROJECT, program("exporter.*")),
    (_MODELS, _PROOF, _DELIVERY, _ACCESS, Row("Where it stands", behind("exporter.*", 12)), processes()),
)
