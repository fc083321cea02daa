"""What a request may ask for beside its image; the same for one image, many, and a video."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field, field_validator

from inference.engine.tiling import LEAST_SIDE, MOST_OVERLAP, Tiling
from labelstream.bundle import Thresholds


class Wishes(BaseModel):
    """Query parameters of every prediction; what is left out is the model's default."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    project: str | None = Field(None, description="whose model answers; the first configured one when left out")
    model: str | None = Field(None, description="answer with this model or not at all")
    confidence: float | None = Field(None, ge=0, le=1, description="detections below are left out")
    iou: float | None = Field(None, ge=0, le=1, description="of boxes of a class that overlap more, the best is kept")
    max_detections: int | None = Field(None, ge=1, le=3000, description="the most confident ones are kept")
    tile: int | None = Field(
        None,
        ge=0,
        le=1 << 16,
        description=f"look at a larger image in tiles of so many pixels (from {LEAST_SIDE} on), too; 0: don't",
    )
    tile_overlap: float | None = Field(
        None, ge=0, le=MOST_OVERLAP, description="what neighbouring tiles share, of a tile's side"
    )

    def thresholds(self, defaults: Thresholds) -> Thresholds:
        """Return what counts as a detection for this request."""
        told = self.model_dump(include={"confidence", "iou", "max_detections"}, exclude_none=True)
        return defaults.model_copy(update=told)

    def tiling(self, usual: Tiling | None) -> Tiling | None:
        """Return how images are cut for this request; `usual`: how they are when it does not say."""
        side = self.tile if self.tile is not None else (usual.side if usual else 0)
        if not side:
            return None
        overlap = self.tile_overlap if self.tile_overlap is not None else (usual.overlap if usual else Tiling.overlap)
        return Tiling(side, overlap)

    @field_validator("tile")
    @classmethod
    def _large_enough(cls, tile: int | None) -> int | None:
        if tile and tile < LEAST_SIDE:
            raise ValueError(f"tiles have at least {LEAST_SIDE} pixels a side; 0 turns them off")
        return tile


Asked = Annotated[Wishes, Query()]
