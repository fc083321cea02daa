"""What Prometheus can ask about requests and grants."""

from __future__ import annotations

from prometheus_client import Counter

REFUSED = Counter("labelstream_exporter_requests_refused_total", "Requests to the exporter that were refused", ["rule"])
GRANTS = Counter("labelstream_exporter_grants_total", "Grants that were made", ["project"])
