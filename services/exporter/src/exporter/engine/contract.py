"""What goes into the export engine and what comes out."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from labelstream.bundle import ArtifactFacts, Reference
from labelstream.labels import Box
from labelstream.values import Value


class ProofImage(Value):
    """A test image and what people saw in it."""

    path: Path
    boxes: tuple[Box, ...] = ()


class ExportSpec(Value):
    """Weights to export to one format, and the images to measure the result on."""

    format: str = Field(description="labelstream.formats.Format's name")
    weights: Path = Field(description="safetensors")
    architecture: Path = Field(description="JSON of labelstream_yolo.architecture.Architecture")
    images: tuple[ProofImage, ...] = Field(min_length=1, description="of the test split")
    calibration: tuple[Path, ...] = Field((), description="images that an INT8 format takes its ranges from")
    golden: int = Field(3, ge=0, description="how many of the test images to keep with the model's answers")
    confidence: float = Field(0.25, gt=0, lt=1)
    iou: float = Field(0.45, gt=0, lt=1, description="of two boxes of a class that overlap more, the better one stays")
    rknn_python: Path | None = Field(None, description="the Python of RKNN's own environment")
    out_dir: Path = Field(description="everything that the engine writes lies here")


class GoldenAnswer(Value):
    """What a model finds in a test image."""

    image: Path = Field(description="one of the spec's images")
    boxes: tuple[Box, ...] = Field(description="with confidences, most confident first")


class ExportResult(Value):
    """What a finished export left."""

    artifact: Path = Field(description="one file")
    facts: ArtifactFacts = Field(description="with the agreement, or why it was not run")
    image_size: int
    names: tuple[str, ...]
    golden: tuple[GoldenAnswer, ...] = Field(description="what the trained weights find, rounded")
    reference: Reference = Field(description="what the trained weights find in all of the images, counted")
    picture: Path | None = Field(None, description="PNG: the worst image with both sides' boxes")
    versions: dict[str, str]
