"""Errors as RFC 9457 problem details: a rule that stays the same, a sentence, and a hint to act on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from labelstream.errors import Unavailable

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
_URN = "urn:labelstream:rule:"


@dataclass(frozen=True)
class Who:
    """Whose name was used, as far as it is known."""

    kind: Literal["device", "user", "unknown"] = "unknown"
    name: str = ""


NOBODY = Who()


class ProblemBody(BaseModel):
    """Why a request was not answered."""

    type: str = Field(description="the rule, as a URN")
    title: str = Field(description="the rule, which stays the same")
    status: int
    detail: str = Field(description="what was wrong, with the value")
    hint: str = Field(description="what to do")


class Problem(HTTPException):
    """An answer that is not what was asked for."""

    def __init__(self, status: int, rule: str, detail: str, hint: str, retry_after_s: float | None = None) -> None:
        """Name the `rule`, what is wrong, and what to do; `retry_after_s` where asking again may help."""
        headers: dict[str, str] = {}
        if retry_after_s is not None:
            headers["Retry-After"] = str(max(1, math.ceil(retry_after_s)))
        if status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Bearer"
        super().__init__(status, detail, headers)
        self.rule = rule
        self.hint = hint


class TurnedAway(Problem):
    """A problem that the audit log counts: somebody had no right to what they asked for."""

    def __init__(
        self,
        status: int,
        rule: str,
        detail: str,
        hint: str,
        *,
        who: Who = NOBODY,
        resource: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        """Say `who` asked for which `resource`, beside what a problem says."""
        super().__init__(status, rule, detail, hint, retry_after_s)
        self.who = who
        self.resource = resource


def respond(problem: Problem) -> Response:
    """Return a problem as a response."""
    body = ProblemBody(
        type=_URN + problem.rule,
        title=problem.rule,
        status=problem.status_code,
        detail=problem.detail,
        hint=problem.hint,
    )
    return Response(body.model_dump_json(), problem.status_code, problem.headers, media_type=MEDIA_TYPE)


def add_problems(api: FastAPI) -> None:
    """Let every error of `api` leave it as a problem."""
    api.add_exception_handler(Problem, _problem)
    api.add_exception_handler(Unavailable, _unavailable)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(HTTPException, _http)
    api.add_exception_handler(Exception, _fault)


def forms(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the problems that a route may answer with."""
    return {
        status: {"model": ProblemBody, "description": _MEANT[status], "content": _example(status)}
        for status in statuses
    }


_MEANT = {
    400: "the request can't be read",
    401: "no token, or one that is unknown, expired or not for this API",
    403: "the caller may not have this",
    404: "there is no such thing",
    408: "the request did not come in within its time",
    409: "the name is taken by something else",
    410: "it was withdrawn",
    413: "the request is too large",
    422: "a parameter is wrong",
    429: "too many requests, or too many wrong passwords; Retry-After says when to ask again",
    503: "the store, the broker or the audit log is away; Retry-After says when to ask again",
}
_EXAMPLES = {
    401: ("token-unknown", "the token belongs to no device", "Enrol it: `labelstream devices add`."),
    403: ("device-revoked", "kiosk-7 was revoked", "Enrol it again, if it should have access."),
    404: ("model-unknown", "project 'default' has no model 'm1'", "See /v1/projects/default/models."),
    410: ("model-withdrawn", "m1 was withdrawn", "See /v1/projects/default/serving for what serves."),
    429: ("too-many-requests", "more than 600 per 1 minute", "Ask again in 12 s."),
    503: ("unavailable", "the audit log does not confirm", "Ask again in 5 s."),
}


def _example(status: int) -> dict[str, Any]:
    if status not in _EXAMPLES:
        return {MEDIA_TYPE: {}}
    rule, detail, hint = _EXAMPLES[status]
    value = ProblemBody(type=_URN + rule, title=rule, status=status, detail=detail, hint=hint)
    return {MEDIA_TYPE: {"example": value.model_dump()}}


async def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101  # the type that the handler is registered for
    return respond(error)


async def _unavailable(_: Request, error: Exception) -> Response:
    assert isinstance(error, Unavailable)  # noqa: S101  # the type that the handler is registered for
    detail = f"the {error.what} is away"  # its reason names addresses of ours: health and metrics say it to operators
    return respond(Problem(503, "unavailable", detail, f"Ask again in {RETRY_AFTER_S} s.", RETRY_AFTER_S))


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # the type that the handler is registered for
    detail = "; ".join(f"{each['loc'][-1]}: {each['msg']}" for each in error.errors())  # never what was sent
    hint = "See /openapi.json for what each parameter may be."
    return respond(Problem(422, "parameter-invalid", detail, hint))


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # the type that the handler is registered for
    rule = "http-" + HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    problem = Problem(error.status_code, rule, error.detail, "See /openapi.json for what is served here.")
    problem.headers = {**(problem.headers or {}), **(error.headers or {})}
    return respond(problem)


async def _fault(_: Request, __: Exception) -> Response:
    hint = "The log of the service says more; please report it."
    return respond(Problem(500, "server-fault", "the request met a fault of this service", hint))
