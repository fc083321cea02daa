"""Which split a medium belongs to: decided by its name alone, so that growing data moves nothing."""

from __future__ import annotations

import hashlib
from typing import Self

from pydantic import Field, model_validator

from labelstream.values import Split, Value, canonical_json


class Ratios(Value):
    """The share of media that each split gets."""

    train: float = Field(0.7, ge=0, le=1)
    val: float = Field(0.2, ge=0, le=1)
    test: float = Field(0.1, ge=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _three_numbers_will_do(cls, given: object) -> object:
        """Read `70/20/10`, and lists of three, in whatever unit: only their proportions matter."""
        shares = given.split("/") if isinstance(given, str) else given
        if not isinstance(shares, list | tuple):
            return given
        try:
            train, val, test = map(float, shares)
            whole = train + val + test
            return {"train": train / whole, "val": val / whole, "test": test / whole}
        except (ValueError, ZeroDivisionError) as error:
            raise ValueError(f"{given!r} is not three shares such as 70/20/10") from error

    @model_validator(mode="after")
    def _shares_add_up(self) -> Self:
        if abs(self.train + self.val + self.test - 1) > 1e-9:
            raise ValueError("the shares of train, val and test must add up to 1")
        return self


def split_of(project: str, medium: str, salt: str, ratios: Ratios, published: Split | None = None) -> Split:
    """Return the medium's split: the `published` one, or else one drawn by the hash of the medium's name."""
    if published is not None:
        return published
    digest = hashlib.sha256(canonical_json([salt, project, medium])).digest()
    place = int.from_bytes(digest[:8]) / 2**64  # in [0, 1)
    if place < ratios.test:
        return "test"
    return "val" if place < ratios.test + ratios.val else "train"
