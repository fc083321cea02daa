"""What Prometheus can ask about requests and grants."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Counter

REFUSED = Counter("labelstream_exporter_requests_refused_total", "Requests to the exporter that were refused", ["rule"])
GRANTS = Counter("labelstream_exporter_grants_total", "Grants that were made", ["project"])


def introduce(projects: Iterable[str]) -> None:
    """Begin at zero what seldom happens, so that it can be seen to rise."""
    for rule in ("model.unknown", "model.withdrawn", "model.serves", "rollback.never_served", "request.unreadable"):
        REFUSED.labels(rule)
    for project in projects:
        GRANTS.labels(project)
