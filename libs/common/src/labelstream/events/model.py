"""Events of `model-events`: proven, signed bundles and which of them serves."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from labelstream.events.base import MODEL_EVENTS, Event
from labelstream.events.training import Metrics
from labelstream.values import FileRef, Position, Value


class Agreement(Value):
    """How far an exported format is from the trained weights, on real test images."""

    images: int
    boxes: int = Field(description="boxes of the trained weights above the confidence threshold")
    unmatched: int = Field(description="boxes of either side without a partner")
    max_box_px: float = Field(description="largest corner difference of a matched pair, in pixels")
    max_score: float = Field(description="largest score difference of a matched pair")


class ArtifactRef(Value):
    """One format of the model: its sealed file's big part, in the model bucket."""

    name: str = Field(description="such as onnx-fp32")
    format: str
    precision: str
    big_part: FileRef
    sealed_sha256: str = Field(description="of the whole sealed file, small part and big part")
    agreement: Agreement


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


class ModelRefused(ModelEvent):
    """An export disagreed with the trained weights, or could not be made."""

    type: ClassVar[str] = "model.refused"

    input: Position
    job: str
    rule: str
    reason: str
    agreement: Agreement | None = None


class ModelPromoted(ModelEvent):
    """This model serves from now on; the statement is signed and its number rises."""

    type: ClassVar[str] = "model.promoted"

    number: int = Field(description="rises with each promotion of the project; a lower one is refused")
    manifest: FileRef
    signature: FileRef
    statement: str = Field(description="the signed JSON: project, model, number, manifest digest")
    statement_signature: str = Field(description="ECDSA P-256 over the statement's bytes, base64")
    reason: str


class ModelWithdrawn(ModelEvent):
    """This model must not be promoted again."""

    type: ClassVar[str] = "model.withdrawn"

    reason: str
