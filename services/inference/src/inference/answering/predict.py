"""`POST /v1/predict`: one image in, boxes out."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from inference.answering.answers import Prediction, answer
from inference.answering.parts import Parts
from inference.answering.problems import PROBLEMS
from inference.answering.uploads import FIELD, read_image
from inference.answering.wishes import Asked

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FORM = {"schema": {"type": "object", "required": [FIELD], "properties": {FIELD: _BINARY["schema"]}}}
_IMAGE_TYPES = ("image/jpeg", "image/png", "image/webp", "image/bmp", "image/tiff", "application/octet-stream")
IMAGE_BODY = {
    "requestBody": {
        "required": True,
        "content": {"multipart/form-data": _FORM, **dict.fromkeys(_IMAGE_TYPES, _BINARY)},
    }
}


def predict_routes(parts: Parts) -> APIRouter:
    """Return the route of single images."""
    router = APIRouter()

    @router.post("/v1/predict", responses=PROBLEMS, openapi_extra=IMAGE_BODY, response_model=Prediction)
    async def predict(request: Request, wishes: Asked) -> Response:
        """Find what is in one image (JPEG, PNG, WebP, BMP or TIFF; the body, or the file `image` of a form)."""
        parts.enter(request, wishes)
        data = await read_image(request, parts.limits)
        answered = await parts.predictor.predict(lambda: parts.decode(data, parts.limits), wishes)
        found = answer(answered.model, answered.detected, answered.timings_ms)
        return Response(found.model_dump_json(by_alias=True), media_type="application/json")

    return router
