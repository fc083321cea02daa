"""The HTTP API: an image in, boxes out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response

from inference.answers import (
    ModelAnswer,
    ModelsAnswer,
    Prediction,
    SchemaAnswer,
    TimingsMs,
    answer,
    describe,
    schema_name,
)
from inference.domain import ImageLimits
from inference.engine import Detected, detect
from inference.metrics import PREDICTIONS, STEPS
from inference.models import Models, ServingModel
from inference.ports import Decode
from inference.problems import MEDIA_TYPE, Problem, add_problems
from inference.uploads import FIELD, read_image
from inference.workers import Workers
from labelstream.bundle import Thresholds
from labelstream.service.health import Health
from labelstream.service.http import health_routes

Project = Annotated[str | None, Query(description="whose model answers; the first configured one when left out")]
Confidence = Annotated[
    float | None, Query(ge=0, le=1, description="detections below are left out; default: the model's")
]
Iou = Annotated[float | None, Query(ge=0, le=1, description="of boxes of a class that overlap more, the best is kept")]
MostDetections = Annotated[int | None, Query(ge=1, le=3000, description="the most confident ones are kept")]

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FORM = {"schema": {"type": "object", "required": [FIELD], "properties": {FIELD: _BINARY["schema"]}}}
_IMAGE_TYPES = ("image/jpeg", "image/png", "image/webp", "image/bmp", "image/tiff", "application/octet-stream")
IMAGE_BODY = {
    "requestBody": {
        "required": True,
        "content": {"multipart/form-data": _FORM, **dict.fromkeys(_IMAGE_TYPES, _BINARY)},
    }
}
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
}


@dataclass(frozen=True)
class Predictor:
    """Answers one request with the model that is in service when its turn begins."""

    models: Models
    workers: Workers
    limits: ImageLimits
    decode: Decode

    async def predict(self, request: Request, project: str | None, **wishes: float | None) -> Prediction:
        """Read the image and find what is in it. Raises Rejected, Unavailable."""
        self.models.get(project)  # an unknown project is said before the image is read
        data = await read_image(request, self.limits)
        begun = time.perf_counter()
        model, detected, timings = await self.workers.run(self._work, project, data, wishes, begun)
        PREDICTIONS.labels(model.manifest.project, model.manifest.model).inc()
        for step, spent in timings:
            STEPS.labels(step).observe(spent / 1000)
        return answer(model, detected, timings)

    def _work(
        self, project: str | None, data: bytes, wishes: dict[str, float | None], begun: float
    ) -> tuple[ServingModel, Detected, TimingsMs]:
        mine = time.perf_counter()
        model = self.models.get(project)
        thresholds = _wished(model.manifest.thresholds, wishes)
        image = self.decode(data, self.limits)
        decoded = time.perf_counter()
        detected = detect(model.engine, image, thresholds)
        spent = detected.timings_ms
        timings = TimingsMs(
            wait=round((mine - begun) * 1000, 3),
            decode=round((decoded - mine) * 1000, 3),
            pre_process=spent.pre_process,
            forward=spent.forward,
            post_process=spent.post_process,
        )
        return model, detected, timings


def build_api(models: Models, health: Health, workers: Workers, limits: ImageLimits, decode: Decode) -> FastAPI:
    """Return the application: the API, and what every service answers about itself."""
    api = FastAPI(
        title="Labelstream inference",
        version="1",
        description="An image in, boxes out; every answer names the model, the classes and the data behind it.",
        routes=list(health_routes(health)),
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
    )
    add_problems(api)
    predictor = Predictor(models, workers, limits, decode)

    @api.post("/v1/predict", responses=PROBLEMS, openapi_extra=IMAGE_BODY, response_model=Prediction)
    async def predict(
        request: Request,
        project: Project = None,
        confidence: Confidence = None,
        iou: Iou = None,
        max_detections: MostDetections = None,
    ) -> Response:
        """Find what is in one image (JPEG, PNG, WebP, BMP or TIFF; the body, or the file `image` of a form)."""
        found = await predictor.predict(request, project, confidence=confidence, iou=iou, max_detections=max_detections)
        return Response(found.model_dump_json(by_alias=True), media_type="application/json")

    @api.get("/v1/models")
    async def list_models() -> ModelsAnswer:
        """Say which models answer here."""
        serving: list[ModelAnswer] = [describe(model) for model in models.serving().values()]
        waiting = [project for project in models.projects if models.current(project) is None]
        return ModelsAnswer(models=serving, waiting=waiting)

    @api.get("/v1/schema", responses={404: PROBLEMS[404], 503: PROBLEMS[503]})
    async def schema(project: Project = None) -> SchemaAnswer:
        """Return the classes of the model in service."""
        manifest = models.get(project).manifest
        named = schema_name(manifest).model_dump()
        return SchemaAnswer(**named, project=manifest.project, classes=list(manifest.class_schema.classes))

    return api


def _wished(defaults: Thresholds, wishes: dict[str, float | None]) -> Thresholds:
    return defaults.model_copy(update={name: value for name, value in wishes.items() if value is not None})
