"""Errors as RFC 9457 problem details: a rule that stays the same, a sentence, and a hint to act on."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from inference.access.rates import TooMany
from inference.access.ring import NotYet
from inference.answering.workers import Busy, ClientLeft
from inference.metrics import REFUSED
from labelstream.errors import Rejected, Unavailable

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
CLIENT_LEFT = 499  # nobody reads it but the log
STATUS = {
    "image.too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "image.too_many_pixels": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "image.unknown_format": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "image.empty": HTTPStatus.BAD_REQUEST,
    "request.malformed": HTTPStatus.BAD_REQUEST,
    "request.too_slow": HTTPStatus.REQUEST_TIMEOUT,
    "project.unknown": HTTPStatus.NOT_FOUND,
    "model.not_here": HTTPStatus.NOT_FOUND,
    "key.missing": HTTPStatus.UNAUTHORIZED,
    "key.unknown": HTTPStatus.UNAUTHORIZED,
    "key.expired": HTTPStatus.UNAUTHORIZED,
    "key.revoked": HTTPStatus.UNAUTHORIZED,
    "key.not_for_project": HTTPStatus.FORBIDDEN,
    "batch.empty": HTTPStatus.BAD_REQUEST,
    "batch.not_an_archive": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "batch.too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "batch.too_many_files": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "file.archive": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "zip.too_dense": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "video.empty": HTTPStatus.BAD_REQUEST,
    "video.too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "video.too_long": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "video.too_many_frames": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "video.too_many_pixels": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "video.unknown_codec": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "video.unknown_format": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
}  # any other rule: 422
_WAITS: dict[type[Exception], tuple[HTTPStatus, str]] = {
    TooMany: (HTTPStatus.TOO_MANY_REQUESTS, "rate.exceeded"),
    NotYet: (HTTPStatus.SERVICE_UNAVAILABLE, "keys.unknown_yet"),
}


@dataclass(frozen=True)
class Trouble:
    """Why a request, or one file of it, was not answered."""

    status: int
    rule: str
    detail: str
    hint: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> dict[str, Any]:
        """What is told of it: the members of `Problem`, without the request's id."""
        return {
            "type": f"urn:labelstream:rule:{self.rule}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "rule": self.rule,
            "hint": self.hint,
        }


def request_id(request: Request) -> str:
    """Return the id that the answer and every log line of a request carry."""
    told: str = request.scope.get("state", {}).get("request_id", "")
    return told


def respond(request: Request, trouble: Trouble) -> Response:
    """Return a problem as the answer to a request."""
    REFUSED.labels(trouble.rule).inc()
    body = {**trouble.body, "request_id": request_id(request)}
    return Response(orjson.dumps(body), trouble.status, dict(trouble.headers), media_type=MEDIA_TYPE)


def problem_of(error: Exception) -> Trouble:
    """Return what a caller is told of an error; of a fault of ours only that it is one."""
    match error:
        case Rejected():
            return _rejected(error)
        case Unavailable():
            return _unavailable(error)
        case RequestValidationError():
            hint = "See /openapi.json for what each parameter may be."
            return Trouble(HTTPStatus.UNPROCESSABLE_ENTITY, "parameter.invalid", _told(error, ()), hint)
        case HTTPException():
            return _http(error)
    return Trouble(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "server.fault",
        "the request met a fault of this service",
        "The log of the service says more, under the request's id; please report it.",
    )


def add_problems(api: FastAPI) -> None:
    """Let every error of `api` leave it as a problem."""
    for kind in (Rejected, Unavailable, HTTPException):
        api.add_exception_handler(kind, _respond)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(ClientLeft, _left)


async def _respond(request: Request, error: Exception) -> Response:
    return respond(request, problem_of(error))


async def _left(_: Request, __: Exception) -> Response:
    return Response(status_code=CLIENT_LEFT)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # the type that the handler is registered for
    known = _parameters(request)
    hint = f"Parameters are: {', '.join(known)}; /openapi.json says what each may be."
    detail = _told(error, known)
    return respond(request, Trouble(HTTPStatus.UNPROCESSABLE_ENTITY, "parameter.invalid", detail, hint))


def _parameters(request: Request) -> tuple[str, ...]:
    """Return the names of the query parameters of the address that was asked, as the contract has them."""
    path = request.app.openapi()["paths"].get(getattr(request.scope.get("route"), "path", ""), {})
    told = path.get(request.method.lower(), {}).get("parameters", ())
    return tuple(each["name"] for each in told if each["in"] == "query")


def _told(error: RequestValidationError, known: tuple[str, ...]) -> str:
    return "; ".join(_each(dict(each), known) for each in error.errors())


def _each(told: dict[str, Any], known: tuple[str, ...]) -> str:
    name = str(told["loc"][-1])[:100] if told["loc"] else "the query"
    if told["type"] != "extra_forbidden":
        return f"{name}: {told['msg']}"
    nearest = difflib.get_close_matches(name, known, 1)
    return f"there is no parameter {name!r}" + (f"; is it {nearest[0]!r}?" if nearest else "")


def _rejected(error: Rejected) -> Trouble:
    status = STATUS.get(error.rule, HTTPStatus.UNPROCESSABLE_ENTITY)
    headers = {}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if status == HTTPStatus.REQUEST_TIMEOUT:
        headers["Connection"] = "close"
    return Trouble(status, error.rule, error.reason, error.hint, headers)


def _unavailable(error: Unavailable) -> Trouble:
    status, rule = _WAITS.get(type(error), (HTTPStatus.SERVICE_UNAVAILABLE, "model.none_yet"))
    rule = error.rule if isinstance(error, Busy) else rule
    after = getattr(error, "retry_after_s", RETRY_AFTER_S)
    return Trouble(status, rule, str(error), f"Ask again in {after} s.", {"Retry-After": str(after)})


def _http(error: HTTPException) -> Trouble:
    rule = "http." + HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    hint = "See /openapi.json for what is served here."
    return Trouble(error.status_code, rule, error.detail, hint, error.headers or {})
