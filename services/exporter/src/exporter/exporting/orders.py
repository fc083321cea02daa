"""What an export job asks for, and what a finished attempt leaves."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from exporter.domain import Trained, export_job_id
from exporter.exporting.limits import limits_of
from exporter.exporting.options import ExportingOptions
from labelstream.bundle import ArtifactFacts, Reference
from labelstream.events.model import AgreementLimits
from labelstream.events.training import DatasetRef
from labelstream.formats import Format
from labelstream.jobs.ports import Job
from labelstream.labels import Box
from labelstream.values import FileRef, Value


class ExportOrder(Value):
    """What an export job asks for."""

    format: str = Field(description="labelstream.formats.Format's name")
    weights: FileRef
    architecture: FileRef
    dataset: DatasetRef
    limits: AgreementLimits = Field(description="what the format is held to; beyond them, a picture is left")
    confidence: float
    iou: float
    golden_images: int
    proof_images: int
    calibration_images: int = Field(0, description="training images that an INT8 format takes its ranges from")


class GoldenAnswer(Value):
    """A stored test image and the boxes that the trained weights find in it."""

    image: FileRef
    boxes: tuple[Box, ...]


class ExportLeft(Value):
    """What a finished attempt leaves for the decider."""

    artifact: FileRef
    facts: ArtifactFacts = Field(description="with the limits of the order")
    golden: tuple[GoldenAnswer, ...]
    image_size: int
    confidence: float
    iou: float
    versions: dict[str, str]
    reference: Reference | None = Field(None, description="what the trained weights find in the test images, counted")
    picture: FileRef | None = Field(None, description="PNG: the worst image, where the limits are exceeded")
    seconds: float = Field(0.0, description="for building and proving")
    worker: str = ""


@dataclass(frozen=True)
class Orders:
    """Writes the jobs of a training's formats; the same training and format give the same job."""

    options: ExportingOptions

    def job(self, trained: Trained, wanted: Format) -> Job:
        """Return the job that exports a training to a format."""
        training, told = trained.training, self.options
        order = ExportOrder(
            format=wanted.name,
            weights=training.weights,
            architecture=training.architecture,
            dataset=training.dataset,
            limits=limits_of(wanted, told.limits),
            confidence=told.confidence,
            iou=told.iou,
            golden_images=told.golden_images,
            proof_images=told.proof_images,
            calibration_images=told.calibration_images if wanted.precision == "int8" else 0,
        )
        return Job(
            project=trained.project,
            id=export_job_id(trained.project, training, wanted.name),
            payload=order.model_dump(mode="json"),
            flow=trained.envelope.flow,
            traceparent=trained.envelope.traceparent,
        )
