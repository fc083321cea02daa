"""How much of a stream its broker keeps. It does not say: it only says whether a guess is right."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from labelstream.errors import Misconfigured
from labelstream.parked import INGEST
from labelstream.streams.ports import Broker
from labelstream_cli.backup.book import Limits
from labelstream_cli.gc.ages import parse_age

# What annotation-ingest asks for when it is told nothing (its settings parking.max_bytes and parking.max_age_s).
USUAL: Final[Mapping[str, Limits]] = {INGEST: Limits(max_bytes=1 << 30, max_age_s=30 * 24 * 3600)}
UNKNOWN: Final = Limits(known=False)
_SIZE = re.compile(r"(\d+)\s*(b|kb|mb|gb|tb)", re.IGNORECASE)
_UNITS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}


def parse(texts: Iterable[str]) -> dict[str, Limits]:
    """Read such as `annotations=20GB,30d`, `annotations=30d`, `annotations=none`. Raises ValueError."""
    return dict(map(_parse, texts))


def _parse(text: str) -> tuple[str, Limits]:
    stream, _, said = text.partition("=")
    if not stream or not said:
        raise ValueError(f"{text!r} is no STREAM=SIZE,AGE, such as annotations=20GB,30d or annotations=none")
    size: int | None = None
    age_s: int | None = None
    for part in (part.strip() for part in said.split(",") if part.strip().lower() != "none"):
        found = _SIZE.fullmatch(part)
        if found is not None:
            size = int(found[1]) * _UNITS[found[2].lower()]
        else:
            age_s = int(parse_age(part).total_seconds())
    return stream, Limits(max_bytes=size, max_age_s=age_s)


async def limits_of(broker: Broker, stream: str, told: Limits | None, before: Limits | None) -> Limits:
    """Find out how much is kept of a stream that exists: as `told`, as `before`, as is usual, or all.

    Raises Misconfigured when what was told is wrong, Unavailable.
    """
    if told is not None:
        await broker.ensure_stream(stream, told.retention)
        return told
    for guess in (before, USUAL.get(stream), Limits()):
        if guess is not None and guess.known and await _is_right(broker, stream, guess):
            return guess
    return UNKNOWN


async def _is_right(broker: Broker, stream: str, guess: Limits) -> bool:
    """Ask for the stream as if it were to be made: the broker refuses when it is there with other limits."""
    try:
        await broker.ensure_stream(stream, guess.retention)
    except Misconfigured:
        return False
    return True
