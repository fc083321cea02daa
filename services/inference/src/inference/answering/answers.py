"""What the HTTP API answers, as it stands in the OpenAPI schema."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from inference.engine.detecting import Detected
from inference.engine.geometry import Found, Size
from inference.serving.models import ServingModel
from labelstream.bundle import Manifest


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

    model: str
    project: str
    promotion: int = Field(description="number of the promotion that put the model into service")
    class_schema: SchemaName
    dataset: str = Field(description="id of the dataset that the model was trained on")
    artifact: str = Field(description="format and precision that answered")
    image: ImageSize
    detections: list[Detection] = Field(description="most confident first")
    timings_ms: TimingsMs


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
    thresholds: dict[str, float]
    test: dict[str, object] = Field(description="metrics on the frozen test images")


class ModelsAnswer(Answer):
    """What answers here."""

    models: list[ModelAnswer]
    waiting: list[str] = Field(description="projects that have no model yet")


class SchemaAnswer(SchemaName):
    """A class schema with its classes, by id."""

    project: str
    classes: list[str]


def schema_name(manifest: Manifest) -> SchemaName:
    """Return which schema a model's class ids belong to."""
    schema = manifest.class_schema
    return SchemaName(name=schema.name, version=schema.version, digest=schema.digest)


def describe(model: ServingModel) -> ModelAnswer:
    """Return what is known of a model in service."""
    manifest = model.manifest
    return ModelAnswer(
        model=manifest.model,
        project=manifest.project,
        promotion=model.promotion,
        class_schema=schema_name(manifest),
        dataset=manifest.dataset_id,
        artifact=model.engine.artifact,
        backend=model.engine.backend,
        image_size=manifest.image_size,
        thresholds=manifest.thresholds.model_dump(),
        test=manifest.test.model_dump(mode="json"),
    )


def answer(model: ServingModel, detected: Detected, timings: TimingsMs) -> Prediction:
    """Return what was found, with the proof of where it comes from."""
    manifest = model.manifest
    return Prediction(
        model=manifest.model,
        project=manifest.project,
        promotion=model.promotion,
        class_schema=schema_name(manifest),
        dataset=manifest.dataset_id,
        artifact=model.engine.artifact,
        image=ImageSize(width=detected.image.width, height=detected.image.height),
        detections=_detections(detected.found, detected.image, manifest.class_schema.classes),
        timings_ms=timings,
    )


def _detections(found: Found, size: Size, names: tuple[str, ...]) -> list[Detection]:
    fractions = found.boxes / np.array([size.width, size.height] * 2, np.float32)
    return [
        Detection(
            class_id=int(class_id),
            name=names[class_id],
            confidence=round(float(score), 5),
            box=_corners(box, 3),
            normalized=_corners(fraction, 6),
        )
        for box, fraction, score, class_id in zip(found.boxes, fractions, found.scores, found.classes, strict=True)
    ]


def _corners(box: np.ndarray, decimals: int) -> Corners:
    x1, y1, x2, y2 = (round(float(value), decimals) for value in box)
    return Corners(x1=x1, y1=y1, x2=x2, y2=y2)
