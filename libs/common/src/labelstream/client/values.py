"""What a service answers, as frozen values. Fields that are not known here stay in `raw`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from labelstream.client.errors import NotUnderstood, Problem, Refused

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Box:
    """Left, top, right and bottom: in pixels, or in fractions of the image's width and height."""

    x1: float
    y1: float
    x2: float
    y2: float

    @classmethod
    def of(cls, said: Json) -> Self:
        """Read a box."""
        return cls(float(said["x1"]), float(said["y1"]), float(said["x2"]), float(said["y2"]))

    @property
    def width(self) -> float:
        """From left to right."""
        return self.x2 - self.x1

    @property
    def height(self) -> float:
        """From top to bottom."""
        return self.y2 - self.y1

    @property
    def xywh(self) -> tuple[float, float, float, float]:
        """Centre and size, as annotation messages say it."""
        return (self.x1 + self.x2) / 2, (self.y1 + self.y2) / 2, self.width, self.height


@dataclass(frozen=True)
class Detection:
    """One object in an image."""

    class_id: int
    name: str
    confidence: float
    box: Box  # pixels
    normalized: Box  # fractions

    @classmethod
    def of(cls, said: Json) -> Self:
        """Read a detection."""
        return cls(
            int(said["class"]),
            str(said["name"]),
            float(said["confidence"]),
            Box.of(said["box"]),
            Box.of(said["normalized"]),
        )


@dataclass(frozen=True)
class SchemaName:
    """Which class schema class ids belong to."""

    name: str
    version: int
    digest: str

    @classmethod
    def of(cls, said: Json) -> Self:
        """Read a schema's name."""
        return cls(str(said["name"]), int(said["version"]), str(said["digest"]))


@dataclass(frozen=True)
class Prediction:
    """What was found in an image, and which model, classes and data say so."""

    model: str
    project: str
    promotion: int
    dataset: str
    artifact: str
    schema: SchemaName
    width: int
    height: int
    detections: tuple[Detection, ...]  # most confident first
    timings_ms: Mapping[str, float]
    request_id: str = ""
    raw: Json = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, said: Json, request_id: str = "") -> Self:
        """Read a prediction."""
        return cls(
            model=str(said["model"]),
            project=str(said["project"]),
            promotion=int(said["promotion"]),
            dataset=str(said["dataset"]),
            artifact=str(said["artifact"]),
            schema=SchemaName.of(said["class_schema"]),
            width=int(said["image"]["width"]),
            height=int(said["image"]["height"]),
            detections=tuple(Detection.of(one) for one in said["detections"]),
            timings_ms=dict(said["timings_ms"]),
            request_id=str(said.get("request_id") or request_id),
            raw=said,
        )


@dataclass(frozen=True)
class _Answer:
    """A prediction, or why there is none."""

    prediction: Prediction | None
    problem: Problem | None

    def result(self) -> Prediction:
        """Return the prediction. Raises Refused when there is none."""
        if self.prediction is not None:
            return self.prediction
        if self.problem is None:
            raise NotUnderstood("the service gave neither a prediction nor a problem")
        raise Refused(self.problem)


@dataclass(frozen=True)
class FileAnswer(_Answer):
    """What became of one of many images."""

    index: int  # among the images as they were given
    file: str  # its path, or its number where it has none


@dataclass(frozen=True)
class Frame(_Answer):
    """What was found in one frame of a video."""

    index: int  # the frame's number in the video, from 0
    time_s: float


@dataclass(frozen=True)
class Model:
    """A model in service."""

    model: str
    project: str
    promotion: int
    dataset: str
    artifact: str
    backend: str
    image_size: int
    thresholds: Mapping[str, float]
    schema: SchemaName
    raw: Json = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, said: Json) -> Self:
        """Read what is told of a model."""
        return cls(
            model=str(said["model"]),
            project=str(said["project"]),
            promotion=int(said["promotion"]),
            dataset=str(said["dataset"]),
            artifact=str(said["artifact"]),
            backend=str(said["backend"]),
            image_size=int(said["image_size"]),
            thresholds=dict(said["thresholds"]),
            schema=SchemaName.of(said["class_schema"]),
            raw=said,
        )


@dataclass(frozen=True)
class Models:
    """Which models answer, and which projects have none yet."""

    models: tuple[Model, ...]
    waiting: tuple[str, ...]

    @classmethod
    def of(cls, said: Json) -> Self:
        """Read the list."""
        return cls(tuple(Model.of(one) for one in said["models"]), tuple(map(str, said["waiting"])))

    def of_project(self, project: str) -> Model | None:
        """Return the model that answers for a project, if there is one."""
        return next((one for one in self.models if one.project == project), None)


@dataclass(frozen=True)
class Schema(SchemaName):
    """A class schema with its classes, by id."""

    project: str
    classes: tuple[str, ...]

    @classmethod
    def of(cls, said: Json) -> Self:
        """Read a schema."""
        return cls(
            name=str(said["name"]),
            version=int(said["version"]),
            digest=str(said["digest"]),
            project=str(said["project"]),
            classes=tuple(map(str, said["classes"])),
        )
