"""What the decider is told about exports."""

from __future__ import annotations

from pydantic import Field, field_validator

from exporter.exporting.limits import require_known
from labelstream.events.model import AgreementLimits
from labelstream.formats import Format
from labelstream.service.settings import Settings


class ExportingOptions(Settings):
    """Which formats are made, how they are proved, and how long one may wait."""

    formats: tuple[str, ...] = Field(
        ("onnx-fp32", "openvino-fp32-u8"),
        min_length=1,
        description="JSON list of what weights are exported to, in order",
    )
    limits: dict[str, AgreementLimits] = Field(
        default_factory=dict,
        description="JSON: by format, family-precision or precision, how far it may be from the trained weights",
    )
    allow_unproven: tuple[str, ...] = Field(
        (), description="JSON list, named as for limits: what may be published although nobody could run it"
    )
    confidence: float = Field(0.25, gt=0, lt=1, description="what counts as a detection")
    iou: float = Field(0.45, gt=0, lt=1, description="of two boxes that overlap more, the more confident stays")
    golden_images: int = Field(4, ge=1, description="test images that travel with their answers")
    proof_images: int = Field(300, ge=1, description="at most so many test images are compared")
    calibration_images: int = Field(64, ge=1, description="training images that INT8 formats take their ranges from")
    wait_h: float = Field(24, gt=0, description="a format that nobody could build for so many hours is refused")
    absent_s: float = Field(30, ge=0, description="a queue that no worker announced for so long counts as without any")
    slow_s: float = Field(
        1800, ge=0, description="so long after its first format a model goes out without those still being built"
    )

    @field_validator("formats")
    @classmethod
    def _are_formats(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            Format.parse(name)
        if len(set(names)) < len(names):
            raise ValueError(f"a format is named twice: {', '.join(names)}")
        return names

    @field_validator("limits", "allow_unproven")
    @classmethod
    def _are_known(
        cls, named: dict[str, AgreementLimits] | tuple[str, ...]
    ) -> dict[str, AgreementLimits] | tuple[str, ...]:
        require_known(tuple(named))
        return named
