"""`POST /v1/predict`: one image in; boxes, or the image with its boxes, out."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from inference.answering.accepting import JPEG, JSON, preferred
from inference.answering.answers import Prediction, as_json, prediction
from inference.answering.asking import asked, parameters
from inference.answering.contract import problems
from inference.answering.parts import DEADLINE, Parts
from inference.answering.predicting import Answered
from inference.answering.problems import request_id
from inference.answering.uploads import FIELD, image_of
from inference.answering.wishes import Wishes

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FORM = {"schema": {"type": "object", "required": [FIELD], "properties": {FIELD: _BINARY["schema"]}}}
_IMAGE_TYPES = ("image/jpeg", "image/png", "image/webp", "image/bmp", "image/tiff", "application/octet-stream")
IMAGE_BODY = {
    "requestBody": {
        "required": True,
        "description": "an image, as the body or as the file `image` of a form",
        "content": {"multipart/form-data": _FORM, **dict.fromkeys(_IMAGE_TYPES, _BINARY)},
    }
}
_ANSWER = {
    "description": "what is in the image; with `Accept: image/jpeg` the image with boxes, names and confidences drawn",
    "content": {JPEG: _BINARY},
}
_PROBLEMS = problems(400, 401, 403, 404, 406, 408, 413, 415, 422, 429, 503)
PROOF = tuple(f"X-Labelstream-{what}" for what in ("Model", "Promotion", "Class-Schema", "Dataset", "Detections"))
_DEADLINE = {
    "name": DEADLINE,
    "in": "header",
    "required": False,
    "description": "milliseconds after which nobody waits for the answer any more; at most what the replica is set to",
    "schema": {"type": "integer", "minimum": 1, "maximum": 999_999_999},
    "example": 2000,
}


def predict_routes(parts: Parts) -> APIRouter:
    """Return the route of single images."""
    router = APIRouter()

    @router.post(
        "/v1/predict",
        summary="Find what is in one image",
        responses={200: _ANSWER, **_PROBLEMS},
        openapi_extra=IMAGE_BODY | {"parameters": [*parameters(Wishes), _DEADLINE]},
        response_model=Prediction,
    )
    async def predict(request: Request) -> Response:
        """Send one image: JPEG, PNG, WebP, BMP or TIFF, as the body or as the file `image` of a form."""
        deadline, wishes = parts.deadline(request), asked(request, Wishes)
        parts.enter(request, wishes)
        form = preferred(request.headers.get("accept"), (JSON, JPEG))
        async with image_of(request, parts.bodies, parts.limits) as data:
            answered = await parts.predictor.predict(
                lambda: parts.decode(data, parts.limits),
                wishes,
                deadline=deadline,
                drawn=form == JPEG,
                left=lambda: _left(request),
            )
        if form == JPEG:
            return Response(answered.drawn, media_type=JPEG, headers=_proof(answered) | {"Vary": "Accept"})
        told = prediction(answered, request_id(request))
        return Response(as_json(told), media_type=JSON, headers={"Vary": "Accept"})

    return router


async def _left(request: Request) -> None:
    """Return when the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _proof(answered: Answered) -> dict[str, str]:
    """Return which model, classes and data a drawn image comes from."""
    manifest = answered.model.manifest
    told = (
        manifest.model,
        str(answered.model.promotion),
        manifest.class_schema.digest,
        manifest.dataset_id,
        str(len(answered.detected.found)),
    )
    steps = answered.timings_ms._asdict().items()
    return dict(zip(PROOF, told, strict=True)) | {
        "Server-Timing": ", ".join(f"{step};dur={ms:g}" for step, ms in steps)
    }
