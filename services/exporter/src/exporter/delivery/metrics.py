"""The metrics of the public API, each once with its meaning."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter(
    "labelstream_api_requests_total",
    "Requests to the public API by the address's pattern, method and status",
    ["route", "method", "status"],
)
SECONDS = Histogram(
    "labelstream_api_seconds",
    "From a request to the public API to the last byte of its answer, by the address's pattern",
    ["route"],
    buckets=(0.002, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 60),
)
LOGINS = Counter(
    "labelstream_logins_total", "Passwords that were shown: right, wrong, revoked, locked-out", ["outcome"]
)
LOCKOUTS = Counter("labelstream_lockouts_total", "Locks that wrong passwords led to: account, address", ["of"])
GRANTS = Counter(
    "labelstream_grants_total",
    "Grants that devices fetched: there (already), made (while the device waited), pending (it was told to ask again)",
    ["outcome"],
)
GRANT_WAIT = Histogram(
    "labelstream_grant_wait_seconds",
    "How long devices waited for a grant that had to be made",
    buckets=(0.1, 0.25, 0.5, 1, 2, 5, 10),
)
AUDITED = Counter("labelstream_audited_total", "Entries that the audit log confirmed", ["type"])
AUDIT_OPEN = Gauge("labelstream_audit_waiting", "Entries that wait for the audit log")


def introduce() -> None:
    """Begin at zero what seldom happens, so that it can be seen to rise."""
    for outcome in ("right", "wrong", "revoked", "locked-out"):
        LOGINS.labels(outcome)
    for of in ("account", "address"):
        LOCKOUTS.labels(of)
    for outcome in ("there", "made", "pending"):
        GRANTS.labels(outcome)
