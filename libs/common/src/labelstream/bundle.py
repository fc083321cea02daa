"""A model's bundle: the directory that is signed as a whole, and what its manifest says.

    manifest.json      what this page describes
    report.html        how good the model is and how its formats agree, for people; no pictures of the data
    <artifact>.age     each format of the weights, sealed to the key pair made for this model
    golden.age         real test images with the answers that the model must give, sealed likewise
    model.sig          the OpenSSF signature over all of the above

The signature covers the whole sealed files. They travel in two parts: the small part (the first
bytes, with the age header) comes with a device's grant; the big part lies in the model bucket.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from labelstream.classes import ClassSchema
from labelstream.events.model import Agreement, AgreementLimits
from labelstream.events.training import Metrics
from labelstream.labels import Box
from labelstream.values import Sha256, Value

MANIFEST = "manifest.json"
SIGNATURE = "model.sig"
GOLDEN = "golden.age"
REPORT = "report.html"

SealedName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}\.age$")]  # never a path
ArtifactName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")]
PlainName = ArtifactName  # of a file that lies beside, unsealed

CONFIDENCE_BINS = 20


def confidence_bin(score: float) -> int:
    """Return in which bin of a Reference a confidence counts."""
    return min(int(score * CONFIDENCE_BINS), CONFIDENCE_BINS - 1)


class SealedFile(Value):
    """A sealed file of the bundle and how it is split."""

    file: SealedName = Field(description="its name in the bundle, such as onnx-fp32.age")
    sealed_sha256: Sha256
    sealed_bytes: int
    small_bytes: int = Field(description="the first bytes, which travel in the grants only")
    small_sha256: Sha256 = Field(description="of those first bytes: tells a foreign small part from a foreign big part")
    plain_sha256: Sha256
    plain_bytes: int


class Calibration(Value):
    """What the ranges of an INT8 format were taken from."""

    images: int
    digest: Sha256 = Field(description="of the images' digests, in order; they are the dataset's, chosen by digest")


class ArtifactFacts(Value):
    """What is known of one format of the weights before it is sealed.

    Words that a reader does not know mean that it can't run the artifact; another one may do.
    """

    name: ArtifactName = Field(description="labelstream.formats.Format's name, such as onnx-fp32")
    format: str = Field(description="the family: onnx, openvino, torchscript, tensorrt or rknn")
    precision: str
    target: str | None = Field(None, description="the hardware that it is made for, such as sm_90")
    packed: Literal["plain", "tar"] = Field("plain", description="tar: model.xml and model.bin (OpenVINO)")
    input: str = Field(
        description="float32-nchw-rgb-0-1: (b, 3, side, side); uint8-nhwc-bgr: (b, side, side, 3), 0 to 255, blue "
        "first; uint8-nhwc-rgb: the same, red first"
    )
    output: str = Field(
        description="raw-yolo: (b, 4 + classes, n): centre x, y, width, height in pixels of the square, scores; "
        "raw-yolo-split: the same as boxes (b, 4, n) and scores (b, classes, n); "
        "boxes-score-class: (b, max_detections, 6): corners, score, class"
    )
    batch: int | None = Field(None, description="exactly so many images at once; null: any number")
    hints: dict[str, str] = Field(default_factory=dict, description="what the runtime is to be told when it loads it")
    agreement: Agreement | None = Field(None, description="with the trained weights; null: it was not run")
    limits: AgreementLimits | None = Field(None, description="that the agreement was held to")
    unproven: str = Field("", description="why it was not run, where that is allowed")
    calibration: Calibration | None = None
    versions: dict[str, str] = Field(default_factory=dict, description="of the libraries that made it")


class Artifact(SealedFile, ArtifactFacts):
    """One format of the weights, sealed."""


class Thresholds(Value):
    """What counts as a detection, for the golden answers and as an app's default."""

    confidence: float = 0.25
    iou: float = 0.45
    max_detections: int = 300


class Reference(Value):
    """What the trained weights find in the test images at the manifest's thresholds: what live answers compare with."""

    images: int
    detections: int
    class_counts: dict[int, int] = Field(description="detections by class id; classes without any are left out")
    confidences: tuple[int, ...] = Field(
        min_length=CONFIDENCE_BINS,
        max_length=CONFIDENCE_BINS,
        description=f"detections by confidence, in {CONFIDENCE_BINS} equal bins from 0 to 1",
    )


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
    edition: int = Field(1, description="rises when a format that had to wait is added to the same weights")
    reference: Reference | None = Field(None, description="null in bundles made before there was one")


class Manifest(ManifestFacts):
    """What a bundle is: ids, digests, classes, metrics and proof."""

    bundle: Literal["labelstream/1"] = "labelstream/1"
    recipient: str = Field(description="the age public key made for this model")
    artifacts: tuple[Artifact, ...] = Field(min_length=1)
    golden: SealedFile
    files: dict[PlainName, Sha256] = Field(
        default_factory=dict,
        description="what lies beside, unsealed: report.html",
        json_schema_extra={"additionalProperties": False},  # no other names
    )

    @model_validator(mode="after")
    def _no_two_files_of_one_name(self) -> Self:
        names = [*(each.file for each in (*self.artifacts, self.golden)), *self.files, MANIFEST, SIGNATURE]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two files have the same name: {', '.join(twice)}")
        return self


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
