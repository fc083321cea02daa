"""`GET /v1/models` and `/v1/schema`: what answers here, and what its class ids mean."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from inference.answering.answers import ModelsAnswer, SchemaAnswer, describe, schema_name
from inference.answering.parts import Parts
from inference.answering.problems import PROBLEMS

Project = Annotated[str | None, Query(description="whose model is meant; the first configured one when left out")]


def known_routes(parts: Parts) -> APIRouter:
    """Return the routes that tell about models."""
    router = APIRouter()

    @router.get("/v1/models")
    async def list_models() -> ModelsAnswer:
        """Say which models answer here."""
        serving = [describe(model) for model in parts.models.serving().values()]
        waiting = [project for project in parts.models.projects if parts.models.current(project) is None]
        return ModelsAnswer(models=serving, waiting=waiting)

    @router.get("/v1/schema", responses={404: PROBLEMS[404], 503: PROBLEMS[503]})
    async def schema(project: Project = None) -> SchemaAnswer:
        """Return the classes of the model in service."""
        manifest = parts.models.get(project).manifest
        named = schema_name(manifest).model_dump()
        return SchemaAnswer(**named, project=manifest.project, classes=list(manifest.class_schema.classes))

    return router
