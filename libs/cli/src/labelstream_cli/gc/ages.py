"""Ages, as people write and read them."""

from __future__ import annotations

import re
from datetime import timedelta

_AGE = re.compile(r"(\d+)\s*([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def parse_age(text: str) -> timedelta:
    """Read `7d`, `12h`, `0s`. Raises ValueError."""
    found = _AGE.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError(f"{text!r} is no age: write a whole number and s, m, h, d or w, such as 12h or 7d")
    return timedelta(seconds=int(found[1]) * _SECONDS[found[2]])


def age(span: timedelta) -> str:
    """Return an age in its largest whole unit: `3 d`, `17 h`, `5 s`."""
    seconds = max(0, int(span.total_seconds()))
    unit = next((unit for unit in ("d", "h", "m") if seconds >= _SECONDS[unit]), "s")
    return f"{seconds // _SECONDS[unit]} {'min' if unit == 'm' else unit}"
