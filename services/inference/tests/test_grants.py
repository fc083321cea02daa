"""How a device asks the exporter's API for a grant, and what it makes of the answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from pydantic import SecretStr

from inference.serving.adapters.grants import ExporterApi, Revoked
from inference.serving.ports import NoGrant, TurnedAway
from labelstream.errors import Unavailable

MAKING = Response(status_code=202, headers={"Retry-After": "3"})
GRANT = Response(b"a grant")


def problem(status: int, rule: str, detail: str) -> Response:
    body = httpx.Response(status, json={"title": rule, "status": status, "detail": detail}).content
    return Response(body, status_code=status, media_type="application/problem+json")


@dataclass
class Api:
    """An exporter's API that gives its answers one after the other, the last again and again."""

    answers: list[Response] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def answer(self, request: Request) -> Response:
        self.asked.append(f"{request.url.path} {request.headers['authorization']}")
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
async def grants(api: Api) -> AsyncIterator[ExporterApi]:
    app = FastAPI()
    app.add_route("/v1/projects/{project}/models/{model}/grant", api.answer)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://exporter") as client:
        yield ExporterApi(client, SecretStr("my token"))


async def test_a_grant_is_fetched_with_the_devices_token(api: Api, grants: ExporterApi) -> None:
    api.answers = [GRANT]
    assert await grants.fetch("default", "m1") == b"a grant"
    assert api.asked == ["/v1/projects/default/models/m1/grant Bearer my token"]


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (problem(403, "device-revoked", "it was stolen"), Revoked, "this device was revoked, .*: it was stolen"),
        (problem(403, "project-not-allowed", "harbour alone"), TurnedAway, "with 403: harbour alone"),
        (problem(401, "token-unknown", "nobody's"), TurnedAway, "with 401: nobody's"),
        (MAKING, NoGrant, "is being made for this device"),
        (problem(404, "model-unknown", "no such model"), NoGrant, "no grant of default/m1 .*: no such model"),
        (problem(410, "model-withdrawn", "it sees ghosts"), NoGrant, "it sees ghosts"),
        (Response(b"<html>", status_code=502), Unavailable, "it answered 502"),
        (Response(b"[1]", status_code=503), Unavailable, "it answered 503"),
    ],
    ids=["revoked", "other project", "unknown token", "being made", "unknown model", "withdrawn", "a page", "a list"],
)
async def test_each_refusal_is_what_it_is_and_says_why(
    api: Api, grants: ExporterApi, answer: Response, kind: type[Unavailable], said: str
) -> None:
    api.answers = [answer]
    with pytest.raises(Unavailable, match=said) as told:
        await grants.fetch("default", "m1")
    assert type(told.value) is kind
    assert len(api.asked) == 1


async def test_an_api_that_does_not_answer_is_unavailable(api: Api) -> None:
    async with httpx.AsyncClient(base_url="http://127.0.0.1:1") as client:
        with pytest.raises(Unavailable, match="ConnectError"):
            await ExporterApi(client, SecretStr("t")).fetch("default", "m1")
