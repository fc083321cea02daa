"""What a request may ask for beside its image; the same for one image, many, and a video."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field, field_validator

from inference.engine.geometry import Found
from inference.engine.tiling import LEAST_SIDE, MOST_OVERLAP, Tiling
from labelstream.bundle import Thresholds
from labelstream.classes import ClassSchema
from labelstream.errors import Rejected

MOST_DETECTIONS = 3000
MOST_LISTED = 100  # classes in a refusal


class Wishes(BaseModel):
    """Query parameters of every prediction; what is left out is the model's default."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    project: str | None = Field(None, description="whose model answers; the first configured one when left out")
    model: str | None = Field(None, description="answer with this model or not at all")
    confidence: float | None = Field(None, ge=0, le=1, description="detections below are left out")
    iou: float | None = Field(None, ge=0, le=1, description="of boxes of a class that overlap more, the best is kept")
    max_detections: int | None = Field(None, ge=1, le=MOST_DETECTIONS, description="the most confident ones are kept")
    classes: tuple[str, ...] = Field((), description="only these are told of: names or ids; may stand several times")
    tile: int | None = Field(
        None,
        ge=0,
        le=1 << 16,
        description=f"look at a larger image in tiles of so many pixels (from {LEAST_SIDE} on), too; 0: don't",
    )
    tile_overlap: float | None = Field(
        None, ge=0, le=MOST_OVERLAP, description="what neighbouring tiles share, of a tile's side"
    )

    @property
    def usual(self) -> bool:
        """Whether what is found is what the model's own defaults find: what can be compared with its test images'."""
        return self.confidence is None and self.iou is None and self.max_detections is None and not self.classes

    def thresholds(self, defaults: Thresholds) -> Thresholds:
        """Return what counts as a detection for this request, before classes are chosen from it."""
        if self.usual:
            return defaults
        told = self.model_dump(include={"confidence", "iou", "max_detections"}, exclude_none=True)
        most = {"max_detections": MOST_DETECTIONS} if self.classes else {}  # `only` cuts off the rest
        return defaults.model_copy(update={**told, **most})

    def only(self, found: Found, defaults: Thresholds, schema: ClassSchema) -> Found:
        """Return what was found of the classes that were asked for. Raises Rejected."""
        if not self.classes:
            return found
        most = defaults.max_detections if self.max_detections is None else self.max_detections
        kept = np.flatnonzero(np.isin(found.classes, self.class_ids(schema)))[:most]
        return Found(found.boxes[kept], found.scores[kept], found.classes[kept])

    def class_ids(self, schema: ClassSchema) -> list[int]:
        """Return the ids of the classes that were asked for. Raises Rejected for one that there is not."""
        return [_class_id(wished, schema) for wished in self.classes]

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


def _class_id(wished: str, schema: ClassSchema) -> int:
    found = schema.id_of(wished)
    if found is not None:
        return found
    if wished.isascii() and wished.isdecimal() and len(wished) < 10 and int(wished) < len(schema.classes):
        return int(wished)
    similar = schema.similar(wished)
    likely = f"Is it {' or '.join(similar)}? " if similar else ""
    listed = ", ".join(f"{name} ({number})" for number, name in enumerate(schema.classes[:MOST_LISTED]))
    more = " … (/v1/schema has them all)" if len(schema.classes) > MOST_LISTED else ""
    raise Rejected("class.unknown", f"the model has no class {wished[:100]!r}", f"{likely}There are: {listed}{more}.")


Asked = Annotated[Wishes, Query()]
