"""What the HTTP API answers, as it stands in the OpenAPI schema."""

from __future__ import annotations

from dataclasses import asdict
from functools import lru_cache
from typing import Any

import numpy as np
import orjson
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from inference.answering.predicting import Answered
from inference.engine.geometry import Found, Size
from inference.serving.models import Models, ServingModel
from labelstream.bundle import Manifest, Thresholds
from labelstream.classes import ClassSchema

_CORNERS = ("x1", "y1", "x2", "y2")


_SCHEMA_EXAMPLE: JsonDict = {"name": "street", "version": 3, "digest": "5d0c9e1b" * 8}
_PREDICTION_EXAMPLE: JsonDict = {
    "model": "street-0042",
    "project": "default",
    "promotion": 7,
    "class_schema": _SCHEMA_EXAMPLE,
    "dataset": "8f14e45f" * 8,
    "artifact": "openvino-int8-u8",
    "image": {"width": 1280, "height": 720},
    "tiles": 1,
    "detections": [
        {
            "class": 2,
            "name": "car",
            "confidence": 0.91342,
            "box": {"x1": 320.5, "y1": 180.25, "x2": 640, "y2": 360},
            "normalized": {"x1": 0.250391, "y1": 0.250347, "x2": 0.5, "y2": 0.5},
        }
    ],
    "timings_ms": {"wait": 0.12, "decode": 3.4, "pre_process": 0.6, "forward": 21.3, "post_process": 0.4},
    "request_id": "0f7d1c52a3b94e6c",
}
_METRICS_EXAMPLE: JsonDict = {"map50": 0.91, "map50_95": 0.7, "precision": 0.9, "recall": 0.85, "images": 412}
_MODELS_EXAMPLE: JsonDict = {
    "models": [
        {
            **{key: _PREDICTION_EXAMPLE[key] for key in ("model", "project", "promotion", "class_schema", "dataset")},
            "artifact": "openvino-int8-u8",
            "backend": "OpenVINO on the CPU",
            "image_size": 640,
            "thresholds": {"confidence": 0.25, "iou": 0.45, "max_detections": 300},
            "test": _METRICS_EXAMPLE,
            "tried": [
                {"artifact": "openvino-int8-u8", "runtime": "openvino", "ms": 13.1, "refused": None},
                {"artifact": "onnx-fp32", "runtime": "openvino", "ms": 22.0, "refused": None},
                {"artifact": "onnx-fp32", "runtime": "onnxruntime", "ms": 24.1, "refused": None},
                {"artifact": "tensorrt-fp16-sm_90", "runtime": None, "ms": None, "refused": "no GPU is used here"},
            ],
            "on_probation": False,
            "reverted": None,
        }
    ],
    "waiting": ["harbour"],
}
_SCHEMA_ANSWER_EXAMPLE: JsonDict = {**_SCHEMA_EXAMPLE, "project": "default", "classes": ["person", "bicycle", "car"]}


class Answer(BaseModel):
    """Part of an answer."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, protected_namespaces=())


class Corners(Answer):
    """Left, top, right and bottom."""

    x1: float
    y1: float
    x2: float
    y2: float


class Detection(Answer):
    """One object in the image."""

    class_id: int = Field(alias="class", description="the class id; its meaning is the class schema's")
    name: str
    confidence: float
    box: Corners = Field(description="pixels of the image as it was sent, turned as its EXIF orientation says")
    normalized: Corners = Field(description="the same in fractions of the image's width and height")


class SchemaName(Answer):
    """Which class schema the class ids belong to."""

    name: str
    version: int
    digest: str


class ImageSize(Answer):
    """Size in pixels."""

    width: int
    height: int


class TimingsMs(Answer):
    """Where the time went, in milliseconds."""

    wait: float = Field(description="for a free worker")
    decode: float
    pre_process: float
    forward: float
    post_process: float


class Prediction(Answer):
    """What was found in an image, and which model, classes and data say so."""

    model_config = ConfigDict(json_schema_extra={"example": _PREDICTION_EXAMPLE})

    model: str
    project: str
    promotion: int = Field(description="number of the promotion that put the model into service")
    class_schema: SchemaName
    dataset: str = Field(description="id of the dataset that the model was trained on")
    artifact: str = Field(description="format and precision that answered")
    image: ImageSize
    tiles: int = Field(description="looks of the network at the image; more than one when it was cut into tiles")
    detections: list[Detection] = Field(description="most confident first")
    timings_ms: TimingsMs
    request_id: str = Field(description="also in the header X-Request-ID, and in the service's log")


class RevertedAnswer(Answer):
    """A promotion that was tried here and went back to the one before it."""

    promotion: int
    model: str
    rule: str
    reason: str


class TriedAnswer(Answer):
    """What became of one artifact of the model's bundle in one runtime of this machine."""

    artifact: str
    runtime: str | None = Field(None, description="null: the artifact was left out before one was chosen")
    ms: float | None = Field(
        None, description="for one image while all cores are busy with others; null: it was not run"
    )
    refused: str | None = Field(None, description="why it does not answer, unless it only was slower")


class ModelAnswer(Answer):
    """A model in service."""

    model: str
    project: str
    promotion: int
    class_schema: SchemaName
    dataset: str
    artifact: str
    backend: str
    image_size: int
    thresholds: Thresholds
    test: dict[str, object] = Field(description="metrics on the frozen test images")
    tried: list[TriedAnswer] = Field(
        description="the artifacts of its bundle in each runtime that reads them here, the fastest first"
    )
    on_probation: bool = Field(description="it is new: the model before it takes over again when it fails or is slow")
    reverted: RevertedAnswer | None = Field(None, description="a newer promotion that was tried here and went back")


class ModelsAnswer(Answer):
    """What answers here."""

    model_config = ConfigDict(json_schema_extra={"example": _MODELS_EXAMPLE})

    models: list[ModelAnswer]
    waiting: list[str] = Field(description="projects that have no model yet")


class SchemaAnswer(SchemaName):
    """A class schema with its classes, by id."""

    model_config = ConfigDict(json_schema_extra={"example": _SCHEMA_ANSWER_EXAMPLE})

    project: str
    classes: list[str]


def schema_name(manifest: Manifest) -> SchemaName:
    """Return which schema a model's class ids belong to."""
    schema = manifest.class_schema
    return SchemaName(name=schema.name, version=schema.version, digest=schema.digest)


def describe(models: Models, model: ServingModel) -> ModelAnswer:
    """Return what is known of a model in service."""
    manifest = model.manifest
    reverted = models.reverted(manifest.project)
    return ModelAnswer(
        model=manifest.model,
        project=manifest.project,
        promotion=model.promotion,
        class_schema=schema_name(manifest),
        dataset=manifest.dataset_id,
        artifact=model.engine.artifact,
        backend=model.engine.backend,
        image_size=manifest.image_size,
        thresholds=manifest.thresholds,
        test=manifest.test.model_dump(mode="json"),
        tried=[TriedAnswer(**asdict(row)) for row in model.engine.tried],
        on_probation=models.before(manifest.project) is not None,
        reverted=reverted
        and RevertedAnswer(promotion=reverted.number, model=reverted.model, rule=reverted.rule, reason=reverted.reason),
    )


def prediction(answered: Answered, request_id: str) -> dict[str, Any]:
    """Return what was found in an image, with the proof of where it comes from: a `Prediction`, as it goes out."""
    model, manifest, found = answered.model, answered.model.manifest, answered.detected.found
    schema, size = manifest.class_schema, answered.detected.image
    return {
        "model": manifest.model,
        "project": manifest.project,
        "promotion": model.promotion,
        "class_schema": {"name": schema.name, "version": schema.version, "digest": _digest(schema)},
        "dataset": manifest.dataset_id,
        "artifact": model.engine.artifact,
        "image": {"width": size.width, "height": size.height},
        "tiles": answered.detected.tiles,
        "detections": _detections(found, size, schema.classes) if len(found) else [],
        "timings_ms": answered.timings_ms._asdict(),
        "request_id": request_id,
    }


def as_json(answer: dict[str, Any]) -> bytes:
    """Return an answer as it goes over the wire."""
    return orjson.dumps(answer)


@lru_cache(maxsize=64)
def _digest(schema: ClassSchema) -> str:
    return schema.digest


def _detections(found: Found, size: Size, names: tuple[str, ...]) -> list[dict[str, Any]]:
    boxes = found.boxes.astype(np.float64)
    fractions = np.round(boxes / (size.width, size.height, size.width, size.height), 6).tolist()
    pixels, scores = np.round(boxes, 3).tolist(), np.round(found.scores.astype(np.float64), 5).tolist()
    return [
        {
            "class": class_id,
            "name": names[class_id],
            "confidence": score,
            "box": dict(zip(_CORNERS, box, strict=True)),
            "normalized": dict(zip(_CORNERS, fraction, strict=True)),
        }
        for box, fraction, score, class_id in zip(pixels, fractions, scores, found.classes.tolist(), strict=True)
    ]
