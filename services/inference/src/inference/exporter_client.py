"""How the exporter's API is asked over HTTP, and what it means when no answer comes."""

from __future__ import annotations

import httpx

from inference.settings import InferenceGroup
from labelstream.service.tls import trusting_at, why_not

EXPORTER_CA = "LABELSTREAM_INFERENCE__EXPORTER_CA"


def client_of(group: InferenceGroup) -> httpx.AsyncClient:
    """Return a client of the exporter; nothing connects yet. Raises Misconfigured for a CA file that is none."""
    verify = trusting_at(group.exporter_url, group.exporter_ca, EXPORTER_CA) or True
    return httpx.AsyncClient(base_url=group.exporter_url, verify=verify)


def reason_of(error: httpx.HTTPError) -> str:
    """Return why there was no answer, and what to do if we know."""
    return why_not(error, "the exporter", EXPORTER_CA) or f"{type(error).__name__}: {error}"
