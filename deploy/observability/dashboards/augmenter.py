"""How validated annotations become archives of images."""

from __future__ import annotations

from .asking import G, P, rate, spread
from .panels import PROJECT, Dashboard, Limits, Query, Row, lines, program, stack
from .shared import behind, processes

_MAKING = Row(
    "Images and archives",
    (
        lines(
            "Images made",
            "Originals and variants that were written into archives, a second, by process.",
            "cps",
            Query(
                rate(f"labelstream_augmenter_variants_total{{{G}}}", "program, instance"), "{{program}} {{instance}}"
            ),
        ),
        stack(
            "Samples",
            "Annotations that got their variants, and those that were left out, a second.",
            "cps",
            Query(rate(f"labelstream_handled_total{{{G}}}", "outcome"), "{{outcome}}"),
        ),
        lines(
            "From reading to answer",
            "How long it takes from reading a batch's first event until batch.augmented is stored.",
            "s",
            *spread("labelstream_handling_seconds", G, "stream"),
        ),
    ),
)

_PLACE = Row(
    "Where it stands",
    (
        *behind("augmenter.*", 6),
        lines(
            "Batches under way",
            "Closed batches that are not answered yet. One that never ends holds up all behind it.",
            "none",
            Query(f"sum by (project) (labelstream_augmenter_batches_in_flight{{{P}}})", "{{project}}"),
            width=6,
        ),
        lines(
            "Collected",
            "Samples that wait for their batch to close, by count, bytes or age.",
            "none",
            Query(f"sum by (project) (labelstream_augmenter_collected{{{P}}})", "{{project}}"),
            width=6,
        ),
    ),
)

_WORK = Row(
    "Work",
    (
        lines(
            "Images in work",
            "Images that are in a process, or ready for one.",
            "none",
            Query(f"sum by (program, instance) (labelstream_augmenter_rendering{{{G}}})", "{{program}} {{instance}}"),
            width=6,
        ),
        lines(
            "Offered to workers",
            "Archives that workers were asked for and have not made yet. It rises where there are too few workers.",
            "none",
            Query(f"max(labelstream_augmenter_archives_offered{{{G}}})", "archives"),
            width=6,
        ),
        lines(
            "Left out",
            "Samples that could not be augmented, a second, by rule.",
            "cps",
            Query(rate(f"labelstream_augmenter_left_out_total{{{G}}}", "rule"), "{{rule}}"),
            width=6,
        ),
        lines(
            "Archives rewritten",
            "Archives that erased images were taken out of, since the program started.",
            "none",
            Query(f"sum(labelstream_augmenter_archives_rewritten_total{{{G}}})", "archives"),
            width=6,
            limits=Limits(1_000, 10_000),
        ),
    ),
)

DASHBOARD = Dashboard(
    "augmenter",
    "Labelstream: augmenter",
    "How validated annotations become archives of images, and what holds them up.",
    (PROJECT, program("augmenter.*")),
    (_MAKING, _PLACE, _WORK, processes()),
)
