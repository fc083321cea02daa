"""Events of `model-events`: proven, signed bundles and which of them serves."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from labelstream.events.base import MODEL_EVENTS, Event
from labelstream.events.training import AnnotatedMs, Metrics
from labelstream.values import FileRef, Position, Sha256, Value


class WorstImage(Value):
    """The test image on which a format is farthest from the trained weights."""

    image: Sha256
    box_px: float = Field(description="largest corner difference of a matched pair, in pixels of the network's square")
    score: float = Field(description="largest score difference of a matched pair")
    unmatched: int = Field(description="boxes of either side without a partner")


class Agreement(Value):
    """How far an exported format is from the trained weights, on real test images."""

    images: int
    boxes: int = Field(description="boxes of the trained weights above the confidence threshold")
    unmatched: int = Field(description="boxes of either side without a partner")
    max_box_px: float = Field(description="largest corner difference of a pair, in pixels of the network's square")
    max_score: float = Field(description="largest score difference of a matched pair")
    trained_map50: float | None = Field(None, description="of the trained weights, on the same images")
    map50: float | None = Field(None, description="of the format")
    trained_map50_95: float | None = None
    map50_95: float | None = None
    worst: WorstImage | None = None


class AgreementLimits(Value):
    """How far a format may be from the trained weights."""

    max_box_px: float = Field(gt=0, description="between corners of a pair, in pixels of the network's square")
    max_score: float = Field(gt=0, le=1, description="a score of a matched pair may differ by this much")
    max_unmatched: float = Field(0.0, ge=0, le=1, description="share of the boxes that may have no partner")
    max_map_drop: float = Field(ge=0, le=1, description="mAP50-95 that may be lost on the same images")


class ArtifactRef(Value):
    """One format of the model: its sealed file's big part, in the model bucket."""

    name: str = Field(description="such as onnx-fp32")
    format: str = Field(description="the family: onnx, openvino, torchscript, tensorrt or rknn")
    precision: str
    big_part: FileRef
    sealed_sha256: str = Field(description="of the whole sealed file, small part and big part")
    plain_sha256: str | None = Field(None, description="of what was sealed")
    agreement: Agreement | None = Field(None, description="null: it was not run")
    unproven: str = Field("", description="why it was not run, where that is allowed")


class ModelEvent(Event):
    """What every event of a model says."""

    stream: ClassVar[str] = MODEL_EVENTS

    model: str = Field(description="the model's id")


class ModelExported(ModelEvent):
    """A bundle was proved, sealed, signed and published."""

    type: ClassVar[str] = "model.exported"

    input: Position = Field(description="the training.finished that is answered")
    job: str
    dataset_id: str
    manifest: FileRef
    signature: FileRef
    artifacts: tuple[ArtifactRef, ...]
    test: Metrics
    report: FileRef | None = None
    edition: int = Field(1, description="rises when a format that had to wait is added to the same weights")
    waiting: tuple[str, ...] = Field((), description="formats that no worker can build now; they may come later")
    annotated_ms: AnnotatedMs = None


class ModelRefused(ModelEvent):
    """A format disagreed with the trained weights or could not be made; or no format could, and there is no model."""

    type: ClassVar[str] = "model.refused"

    input: Position
    job: str
    rule: str
    reason: str
    format: str | None = Field(None, description="the format that is refused; null: the training has no model")
    agreement: Agreement | None = None
    limits: AgreementLimits | None = None
    picture: FileRef | None = Field(None, description="PNG in the data bucket: the worst image with both sides' boxes")


class ModelPromoted(ModelEvent):
    """This model serves from now on; the statement is signed and its number rises."""

    type: ClassVar[str] = "model.promoted"

    number: int = Field(description="rises with each promotion of the project; a lower one is refused")
    manifest: FileRef
    signature: FileRef
    statement: str = Field(description="the signed JSON: project, model, number, manifest digest")
    statement_signature: str = Field(description="ECDSA P-256 over the statement's bytes, base64")
    reason: str
    cause: Literal["policy", "request", "rollback", "edition"] = "policy"
    by: str = Field("", description="who asked for it; empty: the policy")
    annotated_ms: AnnotatedMs = None


class ModelWithdrawn(ModelEvent):
    """This model must not be promoted again, and nobody gets a grant of it any more."""

    type: ClassVar[str] = "model.withdrawn"

    reason: str
    by: str = ""
