"""What annotation-ingest counts beside what every service does."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

KILLED_SERVICE = "internal.killed_service"
NO_RULE = ""  # nothing was rejected last

REJECTED = Counter("labelstream_ingest_rejected_total", "Names and messages rejected, by rule", ["stream", "rule"])
IN_A_ROW = Gauge(
    "labelstream_ingest_rejected_in_a_row",
    "Messages rejected since the last good one, with the rule of the last rejection",
    ["stream", "rule"],
)
GAP = Counter(
    "labelstream_ingest_gap_messages_total", "Offsets of an input that were gone before they were read", ["stream"]
)
PACED = Counter("labelstream_ingest_paced_seconds_total", "Time for which a quota held an input up", ["stream"])


def introduce(stream: str) -> None:
    """Begin an input's series, so that what is rare can be seen to rise."""
    REJECTED.labels(stream, KILLED_SERVICE)
    IN_A_ROW.labels(stream, NO_RULE)
    for metric in (GAP, PACED):
        metric.labels(stream)
