"""The public API: which models there are, and the grants of the device that asks. Holds no keys.

GET /v1/projects/{project}/models                    models, newest first, and which of them serves
GET /v1/projects/{project}/models/{model}            one model
GET /v1/projects/{project}/models/{model}/grant      the caller's grant: small parts and key, sealed to it
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from exporter.domain import Ledger, Published
from exporter.granting import Device, enrolled
from labelstream import keys
from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.errors import Unavailable
from labelstream.service.health import Health
from labelstream.service.http import health_routes

BEARER = HTTPBearer(auto_error=False, description="the device's token")


class Problem(Exception):
    """An answer that is not what was asked for (RFC 9457)."""

    def __init__(self, status: int, rule: str, detail: str, hint: str) -> None:
        super().__init__(detail)
        self.status = status
        self.body = {"type": f"urn:labelstream:{rule}", "title": rule, "status": status, "detail": detail, "hint": hint}


@dataclass(frozen=True)
class Desk:
    """What the routes draw on."""

    ledger: Ledger
    resources: Blobs

    def find(self, project: str, model: str) -> Published:
        """Return a model of the project. Raises Problem."""
        published = self.ledger.models.get(model)
        if published is None or published.project != project:
            hint = f"See /v1/projects/{project}/models for those that there are."
            raise Problem(404, "model-unknown", f"project {project!r} has no model {model!r}", hint)
        return published

    async def caller(self, credentials: HTTPAuthorizationCredentials | None) -> Device:
        """Return the device whose token was sent. Raises Problem."""
        if credentials is None:
            raise Problem(401, "token-missing", "no token was sent", "Send Authorization: Bearer <device token>.")
        shown = hashlib.sha256(credentials.credentials.encode()).hexdigest()
        for known in await enrolled(self.resources):
            if hmac.compare_digest(known.token_sha256, shown):
                return known
        raise Problem(401, "token-unknown", "the token belongs to no enrolled device", "Enrol the device first.")

    async def grant(self, project: str, model: str, device: Device) -> bytes:
        """Return a device's grant. Raises Problem."""
        self.find(project, model)
        try:
            return (await self.resources.get(keys.grant(project, model, device.name))).data
        except BlobNotFound:
            hint = "Grants are made for models that serve; ask again in a moment."
            raise Problem(404, "grant-missing", f"{device.name} has no grant for {model}", hint) from None

    def describe(self, published: Published) -> dict[str, Any]:
        """Return what the API says of a model."""
        champion = self.ledger.champion(published.project)
        return {
            **published.exported.model_dump(mode="json"),
            "serving": champion is not None and champion.exported.model == published.exported.model,
            "withdrawn": published.exported.model in self.ledger.withdrawn,
            "time_ms": published.envelope.time_ms,
        }


def build_api(ledger: Ledger, resources: Blobs, health: Health) -> FastAPI:
    """Return the API over what was heard of models and what lies in the resources bucket."""
    app = FastAPI(title="Labelstream models", version="1", routes=list(health_routes(health)))
    app.add_exception_handler(Problem, _answer)
    app.add_exception_handler(Unavailable, _unavailable)
    desk = Desk(ledger, resources)

    async def caller(shown: HTTPAuthorizationCredentials | None = Depends(BEARER)) -> Device:
        return await desk.caller(shown)

    @app.get("/v1/projects/{project}/models", dependencies=[Depends(caller)])
    async def list_models(project: str) -> dict[str, Any]:
        """List the project's models, newest first."""
        models = [each for each in ledger.models.values() if each.project == project]
        return {"project": project, "models": [desk.describe(each) for each in reversed(models)]}

    @app.get("/v1/projects/{project}/models/{model}", dependencies=[Depends(caller)])
    async def show_model(project: str, model: str) -> dict[str, Any]:
        """Describe one model."""
        return desk.describe(desk.find(project, model))

    @app.get("/v1/projects/{project}/models/{model}/grant", response_class=Response)
    async def fetch_grant(project: str, model: str, device: Device = Depends(caller)) -> Response:
        """Return the caller's grant: an age file that only this device can open."""
        return Response(await desk.grant(project, model, device), media_type="application/octet-stream")

    return app


async def _answer(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101  # registered for Problem alone; tells mypy
    headers = {"WWW-Authenticate": "Bearer"} if error.status == HTTPStatus.UNAUTHORIZED else None
    return JSONResponse(error.body, status_code=error.status, media_type="application/problem+json", headers=headers)


async def _unavailable(_: Request, error: Exception) -> Response:
    problem = Problem(503, "store-unavailable", str(error), "Ask again in a moment.")
    return JSONResponse(
        problem.body, status_code=503, media_type="application/problem+json", headers={"Retry-After": "2"}
    )
