"""What a question to an inference service can end with beside an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

BUSY_STATUS = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


@dataclass(frozen=True)
class Problem:
    """Why something was not answered, in the service's words (RFC 9457)."""

    status: int
    rule: str  # stays the same whatever the sentence says
    detail: str
    hint: str
    request_id: str = ""

    @classmethod
    def of(cls, said: Any, status: int, request_id: str = "") -> Problem:
        """Read problem details; what is none becomes one that shows the status alone."""
        if not isinstance(said, Mapping):
            return cls(status, f"http.{status}", f"the service answered {status}", "", request_id)
        detail = str(said.get("detail") or said.get("title") or f"the service answered {status}")
        known = said.get("status")
        return cls(
            known if isinstance(known, int) else status,
            str(said.get("rule") or f"http.{status}"),
            detail,
            str(said.get("hint") or ""),
            str(said.get("request_id") or request_id),
        )

    def __str__(self) -> str:
        return " ".join(part for part in (f"{self.detail.rstrip('.')}.", self.hint) if part)


class ClientError(Exception):
    """Anything that a client raises about a service."""


class Refused(ClientError):
    """The service said no, and would say it again."""

    def __init__(self, problem: Problem, retry_after_s: float | None = None) -> None:
        """Keep the problem; `retry_after_s` is what the service asked for, if it did."""
        super().__init__(str(problem))
        self.problem = problem
        self.status = problem.status
        self.rule = problem.rule
        self.detail = problem.detail
        self.hint = problem.hint
        self.request_id = problem.request_id
        self.retry_after_s = retry_after_s


class Busy(Refused):
    """The service has no room, or no model yet, and had none for as long as we were to ask again (429, 503)."""


class Away(ClientError):
    """The service can't be reached, went away in the middle, or does not answer in time."""

    def __init__(self, reason: str, *, again: bool = True) -> None:
        """Say why, and whether asking again may help: a service that did not answer in time may still work on it."""
        super().__init__(reason)
        self.again = again


class NotUnderstood(ClientError):
    """What came back is no answer of an inference service."""
