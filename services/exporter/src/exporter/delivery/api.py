"""The public API: which models there are, and the grants of the device that asks. Holds no keys of models.

POST /v1/login                                       a password for a token
GET  /v1/projects/{project}/models                   models, newest first, in pages
GET  /v1/projects/{project}/models/{model}           one model; `serving` stands for the one that serves
GET  /v1/projects/{project}/serving                  the signed promotion that counts
GET  /v1/projects/{project}/models/{model}/grant     the caller's grant: small parts and key, sealed to it
GET  /v1/api-keys                                    hashes of the API keys that count for the caller's projects
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from exporter.delivery.callers import Caller
from exporter.delivery.desk import Desk
from exporter.delivery.guarding import ADDRESS
from exporter.delivery.models import ModelAnswer, ModelsPage, ServingAnswer
from exporter.delivery.problems import RETRY_AFTER_S, forms
from labelstream.access import KeyList

BEARER = HTTPBearer(auto_error=False, description="a device's token, or the token of a login")
MOST_MODELS = 200

Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]
Limit = Annotated[int, Query(ge=1, le=MOST_MODELS, description="so many models on a page")]
Cursor = Annotated[str | None, Query(max_length=100, description="`next` of the page before; left out: the newest")]
IfNoneMatch = Annotated[str | None, Header(max_length=1000, description="the ETag of the list that is known")]
_BINARY = {"description": "the grant, an age file", "content": {"application/octet-stream": {}}}


class LoginBody(BaseModel):
    """Who logs in."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"email": "ada@example.org", "password": "…"}]})

    email: str = Field(max_length=254)
    password: SecretStr = Field(max_length=1024)


class LoginAnswer(BaseModel):
    """The token of a login."""

    token: str = Field(description="a JWT, to be sent as Authorization: Bearer <token>")
    token_type: str = "Bearer"  # noqa: S105  # the kind of token, as OAuth calls it
    expires_in: int = Field(description="seconds")


class PendingAnswer(BaseModel):
    """The grant is being made."""

    model: str
    device: str
    state: str = "being-made"
    hint: str = "Ask again after as many seconds as Retry-After says."


def address_of(request: Request) -> str:
    """Return where a request comes from."""
    return str(request.scope.get(ADDRESS, ""))


def v1_routes(desk: Desk) -> APIRouter:
    """Return the routes over what `desk` knows."""
    router = APIRouter(prefix="/v1")

    async def caller(shown: Credentials) -> Caller:
        return await desk.caller(shown.credentials if shown else None)

    @router.post("/login", responses=forms(401, 403, 422, 429, 503))
    async def login(request: Request, body: LoginBody) -> LoginAnswer:
        """Show e-mail address and password for a token, which lasts some minutes."""
        token = await desk.log_in(body.email, body.password.get_secret_value(), address_of(request))
        return LoginAnswer(token=token, expires_in=round(desk.tokens.lasting_s))

    @router.get("/projects/{project}/models", responses=forms(400, 401, 403, 422, 429, 503))
    async def list_models(
        project: str, limit: Limit = 50, cursor: Cursor = None, called: Caller = Depends(caller)
    ) -> ModelsPage:
        """List the project's models, newest first."""
        called.see(project)
        return desk.models.page(project, limit, cursor)

    @router.get("/projects/{project}/models/{model}", responses=forms(401, 403, 404, 422, 429, 503))
    async def show_model(project: str, model: str, called: Caller = Depends(caller)) -> ModelAnswer:
        """Describe one model; `serving` stands for the one that serves."""
        called.see(project)
        return desk.models.describe(desk.models.find(project, model))

    @router.get("/projects/{project}/serving", responses=forms(401, 403, 404, 422, 429, 503))
    async def show_serving(project: str, called: Caller = Depends(caller)) -> ServingAnswer:
        """Return the signed promotion that counts: which model serves."""
        called.see(project)
        return desk.models.serving(project)

    @router.get("/projects/{project}/models/{model}/grant", response_class=Response, responses=_grant_answers())
    async def fetch_grant(request: Request, project: str, model: str, called: Caller = Depends(caller)) -> Response:
        """Return the caller's grant, which only this device can open; it is made when it is first asked for."""
        grant = await desk.grant(project, model, called, address_of(request))
        if grant is not None:
            return Response(grant, media_type="application/octet-stream")
        pending = PendingAnswer(model=model, device=called.who.name)
        return JSONResponse(pending.model_dump(), 202, {"Retry-After": str(RETRY_AFTER_S)})

    @router.get("/api-keys", response_class=Response, responses=_key_answers())
    async def list_api_keys(if_none_match: IfNoneMatch = None, called: Caller = Depends(caller)) -> Response:
        """List the API keys that may ask models of the calling device's projects: hashes, never the keys."""
        listed = await desk.api_keys.listed(called)
        headers = {"ETag": listed.etag, "Cache-Control": "private, no-cache"}
        if listed.is_known(if_none_match):
            return Response(status_code=304, headers=headers)
        return Response(listed.body, media_type="application/json", headers=headers)

    return router


def _key_answers() -> dict[int | str, dict[str, Any]]:
    known = {"description": "the list is still the one that the caller has"}
    return {200: {"model": KeyList}, 304: known, **forms(401, 403, 422, 429, 503)}


def _grant_answers() -> dict[int | str, dict[str, Any]]:
    pending = {"model": PendingAnswer, "description": "it is being made; Retry-After says when to ask again"}
    return {200: _BINARY, 202: pending, **forms(401, 403, 404, 410, 422, 429, 503)}
