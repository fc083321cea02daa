"""What a request may ask of a video, beside what it may ask of an image."""

from __future__ import annotations

from pydantic import Field, ValidationInfo, field_validator

from inference.answering.wishes import Wishes


class VideoWishes(Wishes):
    """Query parameters of a video."""

    every: int = Field(1, ge=1, le=1_000_000, description="look at frames 0, N, 2 N, … of the video")
    from_s: float | None = Field(None, ge=0, le=1e7, description="begin at this second of the video")
    to_s: float | None = Field(None, gt=0, le=1e7, description="end before this second of the video")
    max_frames: int | None = Field(None, ge=1, description="look at so many frames at most")

    @field_validator("to_s")
    @classmethod
    def _after_from(cls, to_s: float | None, others: ValidationInfo) -> float | None:
        from_s = others.data.get("from_s")
        if from_s is not None and to_s is not None and from_s >= to_s:
            raise ValueError(f"from_s ({from_s:g}) must be before it ({to_s:g})")
        return to_s
