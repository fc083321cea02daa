"""What goes into the export engine and what comes out."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from labelstream.events.model import Agreement
from labelstream.labels import Box
from labelstream.values import Value

ARTIFACT, AGREEMENT, GOLDEN, VERSIONS = "onnx-fp32.onnx", "agreement.json", "golden.json", "versions.json"


class ExportSpec(Value):
    """Weights to export, and the test images to measure the result on."""

    weights: Path = Field(description="safetensors")
    architecture: Path = Field(description="JSON of labelstream_yolo.architecture.Architecture")
    test_images: tuple[Path, ...] = Field(min_length=1)
    golden: int = Field(3, ge=0, description="how many of the test images to keep with the model's answers")
    confidence: float = Field(0.25, gt=0, lt=1)
    iou: float = Field(0.45, gt=0, lt=1, description="of two boxes of a class that overlap more, the better one stays")
    out_dir: Path = Field(description="everything that the engine writes lies here")


class GoldenAnswer(Value):
    """What the exported model finds in a test image."""

    image: Path = Field(description="one of the spec's test images")
    boxes: tuple[Box, ...] = Field(description="with confidences, most confident first")


class ExportResult(Value):
    """What a finished export left."""

    artifact: Path = Field(description="ONNX; takes (batch, 3, size, size), gives (batch, 4 + classes, n); any batch")
    image_size: int
    names: tuple[str, ...]
    agreement: Agreement
    golden: tuple[GoldenAnswer, ...]
    versions: dict[str, str]
