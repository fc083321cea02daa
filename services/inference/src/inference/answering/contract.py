"""What the OpenAPI document says of problems, requests and examples, beside what the code's types say."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from inference.answering.problems import MEDIA_TYPE


class Problem(BaseModel):
    """Why a request was not answered (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "urn:labelstream:rule:image.too_large",
                "title": "Content Too Large",
                "status": 413,
                "detail": "the image has 31457280 bytes or more; 20971520 are the most",
                "rule": "image.too_large",
                "hint": "Send it smaller or compress it more.",
                "request_id": "0f7d1c52a3b94e6c",
            }
        }
    )

    type: str = Field(description="the rule, as a URN")
    title: str
    status: int
    detail: str
    rule: str = Field(description="what was broken; it stays the same from version to version")
    hint: str = Field(description="what to do")
    request_id: str = Field(description="to find the request in the service's log")


_REASONS = {
    400: "there is no image in the request, or it can't be read",
    401: "no API key was sent, or none that counts (any more)",
    403: "the API key is not for the project",
    404: "the project, or the model that was asked for, is not served here",
    405: "the address is asked by another method",
    406: "the answer is not to be had in a form that the client takes",
    408: "the body came too slowly",
    413: "the image has too many bytes or pixels",
    415: "the content is no image of a known format",
    422: "a parameter is wrong, or the image is damaged",
    429: "the API key, or an address with unknown keys, asks too often; Retry-After says when to ask again",
    503: "no model yet, too many requests wait, or the deadline passed; Retry-After says when to ask again",
}
_RETRY_AFTER = {"Retry-After": {"description": "whole seconds", "schema": {"type": "integer"}, "required": True}}
_WITH_RETRY = (429, 503)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what the contract says of these problems of a route."""
    return {status: PROBLEMS[status] for status in statuses}


def _described(status: int, reason: str) -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    described = {"description": reason, "content": content}
    return described | ({"headers": _RETRY_AFTER} if status in _WITH_RETRY else {})


PROBLEMS: dict[int | str, dict[str, Any]] = {status: _described(status, reason) for status, reason in _REASONS.items()}


_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "an API key: `Authorization: Bearer lsk_…`"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "the same key"},
}


def complete(document: dict[str, Any]) -> None:
    """Add to a generated document what the code's types don't say: problems, and how keys are shown."""
    parts = document.setdefault("components", {})
    parts.setdefault("schemas", {})["Problem"] = Problem.model_json_schema()
    parts["securitySchemes"] = _SCHEMES
    document["security"] = [{}, *({name: []} for name in _SCHEMES)]  # {}: where the replica is open to everybody
