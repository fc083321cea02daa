"""What form of an answer a client prefers, by its `Accept` (RFC 9110, section 12.5.1)."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import NamedTuple

from starlette.exceptions import HTTPException

JSON = "application/json"
JPEG = "image/jpeg"
_LONGEST = 1000  # characters of the header that are read


class _Range(NamedTuple):
    """One range of media types, and how much it is wanted."""

    kind: str
    detail: str
    quality: float

    def closeness(self, media_type: str) -> int:
        """Return how closely it names `media_type`; 0: not at all."""
        kind, detail = media_type.split("/")
        if (self.kind, self.detail) == (kind, detail):
            return 3
        if (self.kind, self.detail) == (kind, "*"):
            return 2
        return int((self.kind, self.detail) == ("*", "*"))


def preferred(accept: str | None, offered: Sequence[str]) -> str:
    """Return which of `offered` (the first one: by default) a client takes most gladly. Raises HTTPException (406)."""
    if not accept or accept == "*/*":
        return offered[0]
    ranges = [_range(each) for each in accept[:_LONGEST].split(",") if each.strip()]
    best = max(offered, key=lambda media_type: _quality(ranges, media_type))  # of equals the first
    if ranges and _quality(ranges, best) <= 0:
        raise HTTPException(
            HTTPStatus.NOT_ACCEPTABLE, f"what there is: {', '.join(offered)}; asked for: {accept[:100]!r}"
        )
    return best


def _range(text: str) -> _Range:
    media, *parameters = (each.strip().lower() for each in text.split(";"))
    kind, _, detail = media.partition("/")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return _Range(kind, detail, _number(value))
    return _Range(kind, detail, 1)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0
    return value if 0 <= value <= 1 else 0


def _quality(ranges: Sequence[_Range], media_type: str) -> float:
    """Return the quality that the closest range gives to a media type; 0: it is not wanted."""
    closeness, quality = max(((each.closeness(media_type), each.quality) for each in ranges), default=(0, 0.0))
    return quality if closeness else 0
