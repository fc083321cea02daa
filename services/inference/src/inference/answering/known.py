"""`GET /v1/models` and `/v1/schema`: what answers here, and what its class ids mean."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from inference.answering.answers import ModelsAnswer, SchemaAnswer, describe, schema_name
from inference.answering.contract import problems
from inference.answering.parts import Parts


class Nothing(BaseModel):
    """No query parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class OfProject(BaseModel):
    """Which project is meant."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    project: str | None = Field(None, description="whose model is meant; the first configured one when left out")


def known_routes(parts: Parts) -> APIRouter:
    """Return the routes that tell about models."""
    router = APIRouter()

    @router.get("/v1/models", summary="Say which models answer here", responses=problems(401, 422, 429, 503))
    async def list_models(request: Request, _: Annotated[Nothing, Query()]) -> ModelsAnswer:
        """Tell of the models in service, of the projects that the caller may ask."""
        projects = parts.gate.may_see(request, parts.models.projects)
        serving = [
            describe(parts.models, model) for project, model in parts.models.serving().items() if project in projects
        ]
        waiting = [project for project in projects if parts.models.current(project) is None]
        return ModelsAnswer(models=serving, waiting=waiting)

    @router.get(
        "/v1/schema",
        summary="Say what the class ids mean",
        responses=problems(401, 403, 404, 422, 429, 503),
    )
    async def schema(request: Request, of: Annotated[OfProject, Query()]) -> SchemaAnswer:
        """Return the classes of the model in service."""
        parts.gate.admit(request, of.project or parts.models.projects[0])
        manifest = parts.models.get(of.project).manifest
        named = schema_name(manifest).model_dump()
        return SchemaAnswer(**named, project=manifest.project, classes=list(manifest.class_schema.classes))

    return router
