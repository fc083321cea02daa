"""What becomes of the annotations that come in."""

from __future__ import annotations

from .asking import G, rate, spread
from .panels import Dashboard, Limits, Query, Row, lines, number, program, stack
from .shared import behind, processes

_WHAT = Row(
    "Messages",
    (
        stack(
            "Settled",
            "What became of the names in messages, a second.",
            "cps",
            Query(rate(f"labelstream_handled_total{{{G}}}", "outcome"), "{{outcome}}"),
        ),
        lines(
            "From reading to receipt",
            "How long a batch of messages takes until its receipts are stored.",
            "s",
            *spread("labelstream_handling_seconds", G, "stream", "{{stream}}"),
        ),
        lines(
            "Published",
            "Events that were stored and read back, a second: receipts and parked messages.",
            "cps",
            Query(rate(f"labelstream_published_total{{{G}}}", "stream"), "{{stream}}"),
        ),
    ),
)

_REFUSED = Row(
    "What it refuses, and what holds it up",
    (
        lines(
            "Rejected",
            "A second, by rule. `labelstream parked list` has the messages, with the reason and a hint.",
            "cps",
            Query(rate(f"labelstream_ingest_rejected_total{{{G}}}", "stream, rule"), "{{stream}} {{rule}}"),
            width=6,
        ),
        lines(
            "Rejected in a row",
            "Since the last good message of each input. From 20 on a producer has probably changed.",
            "none",
            Query(f"max by (stream) (labelstream_ingest_rejected_in_a_row{{{G}}})", "{{stream}}"),
            width=6,
            limits=Limits(10, 20),
        ),
        lines(
            "Lost to retention",
            "Offsets that were gone before they were read, since the program started.",
            "none",
            Query(f"sum by (stream) (labelstream_ingest_gap_messages_total{{{G}}})", "{{stream}}"),
            width=6,
            limits=Limits(1, 1),
        ),
        lines(
            "Held up by a quota",
            "Share of the time for which an input's quota held it up.",
            "percentunit",
            Query(rate(f"labelstream_ingest_paced_seconds_total{{{G}}}", "stream"), "{{stream}}"),
            width=6,
            limits=Limits(0.5, 0.9),
        ),
    ),
)

_PLACE = Row(
    "Where it stands",
    (
        *behind("annotation-ingest"),
        lines(
            "Offset",
            "Of the last message of each input that was answered. A flat line under a lag is a program that stands.",
            "none",
            Query(f"max by (stream) (labelstream_offset{{{G}}})", "{{stream}}"),
        ),
    ),
)

_STORE = Row(
    "Store",
    (
        number(
            "Asked again",
            "Calls to the object store that went through only when they were made again, in the time shown.",
            "none",
            Query(
                f'sum(increase(labelstream_store_asked_again_total{{{G}, error!="FileNotFoundError"}}[$__range]))',
                "calls",
            ),
            width=24,
            limits=Limits(10, 100),
        ),
    ),
)

DASHBOARD = Dashboard(
    "annotation-ingest",
    "Labelstream: annotation-ingest",
    "What becomes of the annotations that come in: settled, refused, held up.",
    (program("annotation-ingest"),),
    (_WHAT, _PLACE, _REFUSED, _STORE, processes()),
)
