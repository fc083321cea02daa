"""A model's bundle: the directory that is signed as a whole, and what its manifest says.

    manifest.json      what this page describes
    <artifact>.age     each format of the weights, sealed to the key pair made for this model
    golden.age         real test images with the answers that the model must give, sealed likewise
    model.sig          the OpenSSF signature over all of the above

The signature covers the whole sealed files. They travel in two parts: the small part (the first
bytes, with the age header) comes with a device's grant; the big part lies in the model bucket.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from labelstream.classes import ClassSchema
from labelstream.events.model import Agreement
from labelstream.events.training import Metrics
from labelstream.labels import Box
from labelstream.values import Sha256, Value

MANIFEST = "manifest.json"
SIGNATURE = "model.sig"
GOLDEN = "golden.age"

SealedName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}\.age$")]  # never a path
ArtifactName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")]


class SealedFile(Value):
    """A sealed file of the bundle and how it is split."""

    file: SealedName = Field(description="its name in the bundle, such as onnx-fp32.age")
    sealed_sha256: Sha256
    sealed_bytes: int
    small_bytes: int = Field(description="the first bytes, which travel in the grants only")
    plain_sha256: Sha256
    plain_bytes: int


class ArtifactFacts(Value):
    """What is known of one format of the weights before it is sealed."""

    name: ArtifactName = Field(description="format and precision, such as onnx-fp32")
    format: Literal["onnx"]
    precision: Literal["fp32"]
    input: Literal["float32-nchw-rgb-0-1"] = Field(description="what the graph takes")
    output: Literal["raw-yolo"] = Field(description="(1, 4 + classes, n): centre x, y, width, height in pixels, scores")
    max_batch: int
    agreement: Agreement


class Artifact(SealedFile, ArtifactFacts):
    """One format of the weights, sealed."""


class Thresholds(Value):
    """What counts as a detection, for the golden answers and as an app's default."""

    confidence: float = 0.25
    iou: float = 0.45
    max_detections: int = 300


class ManifestFacts(Value):
    """What is known of a bundle before its files are sealed."""

    model: str
    project: str
    task: Literal["detect"] = "detect"
    job: str
    dataset_id: str
    created_ms: int
    class_schema: ClassSchema
    image_size: int = Field(description="pixels; the side of the square that an image is letterboxed into")
    thresholds: Thresholds
    validation: Metrics
    test: Metrics
    versions: dict[str, str] = Field(description="of the libraries that trained and exported")


class Manifest(ManifestFacts):
    """What a bundle is: ids, digests, classes, metrics and proof."""

    bundle: Literal["labelstream/1"] = "labelstream/1"
    recipient: str = Field(description="the age public key made for this model")
    artifacts: tuple[Artifact, ...] = Field(min_length=1)
    golden: SealedFile


class GoldenImage(Value):
    """A test image and the boxes that the model finds in it."""

    image: bytes = Field(description="the encoded image")
    boxes: tuple[Box, ...] = Field(description="with confidences, most confident first")


class GoldenSet(Value):
    """What `golden.age` holds, as MessagePack."""

    images: tuple[GoldenImage, ...]
    max_box_px: float = Field(description="a corner may differ by this much, in pixels of the original image")
    max_score: float = Field(description="a score may differ by this much")


class ModelKey(Value):
    """What a grant of a model is made from; kept sealed, as MessagePack."""

    model: str
    project: str
    identity: str = Field(repr=False, description="the model's age private key")
    small_parts: dict[str, bytes] = Field(repr=False, description="by file name")


class GrantContent(ModelKey):
    """What a grant holds, as MessagePack, sealed to one device."""

    device: str
    expires_ms: int | None = None
