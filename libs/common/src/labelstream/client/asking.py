"""Questions to a service as plain values; nothing here is sent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict

DEADLINE_HEADER = "x-deadline-ms"

Params = tuple[tuple[str, str], ...]


class Wishes(TypedDict, total=False):
    """What a prediction may be asked for; what is left out is the service's default."""

    project: str | None
    model: str | None  # this model answers, or none
    confidence: float | None
    iou: float | None
    max_detections: int | None
    classes: Sequence[str | int] | None  # only these, by name or id
    tile: int | None  # look at large images in tiles of so many pixels; 0: never
    tile_overlap: float | None  # of a tile's side
    deadline_s: float | None  # an answer that would come later is of no use


@dataclass(frozen=True)
class Upload:
    """A file of a form."""

    field: str
    name: str
    data: bytes


@dataclass(frozen=True)
class Ask:
    """One request."""

    method: str
    path: str
    params: Params = ()
    headers: Mapping[str, str] | None = None
    body: bytes | None = None
    file: Any = None  # a video: a path or an open file, sent piece by piece
    uploads: tuple[Upload, ...] = ()

    def within(self, left_s: float | None) -> Ask:
        """Return the request with the time that is left for its answer."""
        if left_s is None:
            return self
        told = str(max(1, math.ceil(left_s * 1000)))
        return replace(self, headers={**(self.headers or {}), DEADLINE_HEADER: told})


def params_of(wishes: Wishes, **more: Any) -> Params:
    """Return wishes as query parameters. Raises TypeError for one that is unheard of."""
    unheard_of = wishes.keys() - Wishes.__annotations__.keys()
    if unheard_of:
        raise TypeError(f"there is no wish {min(unheard_of)!r}: there are {', '.join(Wishes.__annotations__)}")
    told: dict[str, Any] = {name: value for name, value in wishes.items() if name != "deadline_s"}
    if isinstance(told.get("classes"), str):
        raise TypeError(f"classes is the text {told['classes']!r}: give a list of names or ids")
    pairs: list[tuple[str, str]] = []
    for name, value in (told | more).items():
        if value is not None:
            several = value if name == "classes" else (value,)
            pairs += [(name, str(one)) for one in several]
    return tuple(pairs)


def predict(image: bytes, wishes: Wishes, accept: str = "application/json") -> Ask:
    """Ask about one image."""
    headers = {"content-type": "application/octet-stream", "accept": accept}
    return Ask("POST", "/v1/predict", params_of(wishes), headers, body=image)
