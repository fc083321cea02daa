"""What a request may ask for beside its image; the same for one image, many, and a video."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from labelstream.bundle import Thresholds


class Wishes(BaseModel):
    """Query parameters of every prediction; what is left out is the model's default."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    project: str | None = Field(None, description="whose model answers; the first configured one when left out")
    model: str | None = Field(None, description="answer with this model or not at all")
    confidence: float | None = Field(None, ge=0, le=1, description="detections below are left out")
    iou: float | None = Field(None, ge=0, le=1, description="of boxes of a class that overlap more, the best is kept")
    max_detections: int | None = Field(None, ge=1, le=3000, description="the most confident ones are kept")

    def thresholds(self, defaults: Thresholds) -> Thresholds:
        """Return what counts as a detection for this request."""
        told = self.model_dump(include={"confidence", "iou", "max_detections"}, exclude_none=True)
        return defaults.model_copy(update=told)


Asked = Annotated[Wishes, Query()]
