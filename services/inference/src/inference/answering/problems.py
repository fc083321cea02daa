"""Errors as RFC 9457 problem details: a rule that stays the same, a sentence, and a hint to act on."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from inference.answering.workers import Busy
from inference.metrics import REFUSED
from labelstream.errors import Rejected, Unavailable

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
STATUS = {
    "image.too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "image.too_many_pixels": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "image.unknown_format": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "image.empty": HTTPStatus.BAD_REQUEST,
    "request.malformed": HTTPStatus.BAD_REQUEST,
    "project.unknown": HTTPStatus.NOT_FOUND,
    "model.not_here": HTTPStatus.NOT_FOUND,
}  # any other rule: 422


class Problem(BaseModel):
    """Why a request was not answered."""

    type: str = Field(description="the rule, as a URN")
    title: str
    status: int
    detail: str
    rule: str
    hint: str


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": description, "content": {MEDIA_TYPE: {}}}
    for status, description in {
        400: "there is no image in the request",
        404: "the project is not served here",
        413: "the image has too many bytes or pixels",
        415: "the content is no image of a known format",
        422: "a parameter is wrong, or the image is damaged",
        503: "no model yet, or too many requests wait; Retry-After says when to ask again",
    }.items()
}  # for the contract


def problem(status: int, rule: str, detail: str, hint: str, headers: dict[str, str] | None = None) -> Response:
    """Return a problem as a response."""
    REFUSED.labels(rule).inc()
    body = Problem(
        type=f"urn:labelstream:rule:{rule}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        rule=rule,
        hint=hint,
    )
    return Response(body.model_dump_json(), status, headers, media_type=MEDIA_TYPE)


def add_problems(api: FastAPI) -> None:
    """Let every error of `api` leave it as a problem."""
    api.add_exception_handler(Rejected, _rejected)
    api.add_exception_handler(Unavailable, _unavailable)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(HTTPException, _http)
    api.add_exception_handler(Exception, _fault)


async def _rejected(_: Request, error: Exception) -> Response:
    assert isinstance(error, Rejected)  # noqa: S101  # the type that the handler is registered for
    status = STATUS.get(error.rule, HTTPStatus.UNPROCESSABLE_ENTITY)
    return problem(status, error.rule, error.reason, error.hint)


async def _unavailable(_: Request, error: Exception) -> Response:
    rule, after = ("server.busy", error.retry_after_s) if isinstance(error, Busy) else ("model.none_yet", RETRY_AFTER_S)
    hint = f"Ask again in {after} s."
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, rule, str(error), hint, {"Retry-After": str(after)})


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # the type that the handler is registered for
    detail = "; ".join(f"{each['loc'][-1]}: {each['msg']}" for each in error.errors())
    hint = "See /openapi.json for what each parameter may be."
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "parameter.invalid", detail, hint)


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # the type that the handler is registered for
    rule = "http." + HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    hint = "See /openapi.json for what is served here."
    return problem(error.status_code, rule, error.detail, hint, dict(error.headers or {}))


async def _fault(_: Request, __: Exception) -> Response:
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "server.fault",
        "the request met a fault of this service",
        "The log of the service says more; please report it.",
    )
