"""What a service says of itself at /readyz."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

from labelstream_local.asking import get
from labelstream_local.services import Service


@dataclass(frozen=True)
class Report:
    """One answer of /readyz."""

    ready: bool
    waiting: dict[str, dict[str, Any]]  # what → reason, for_s
    degraded: dict[str, str]
    facts: dict[str, Any]

    def up(self, service: Service) -> bool:
        """Return whether it waits for nothing but what it may lack at first, such as a model before the first one."""
        return self.ready or (bool(self.waiting) and all(service.may_wait_for(what) for what in self.waiting))


def ask(url: str) -> Report | None:
    """Ask a service for its report; None when it does not answer."""
    try:
        answer = get(f"{url}/readyz", timeout_s=3)
        body = answer.json()
    except (httpx.HTTPError, ValueError):
        return None
    if not isinstance(body, dict):
        return None
    waiting, degraded = body.pop("waiting", {}), body.pop("degraded", {})
    return Report(answer.status_code == httpx.codes.OK, waiting, degraded, body)
