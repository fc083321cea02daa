"""How what belongs to trainings is called on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise

from labelstream.events.training import Interval

SHORT = 12  # digits of a job's id
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 60  # of a curve, characters


def duration(seconds: float) -> str:
    """Tell how long something takes, in the two units that matter."""
    whole = max(0, round(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02d} s" if whole < 10 * _MINUTE else f"{whole // _MINUTE} min"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def moment(time_ms: int, now: datetime | None = None) -> str:
    """Tell a time in the zone of the terminal: without the date where that is today's."""
    time = datetime.fromtimestamp(time_ms / 1000, UTC).astimezone()
    today = (now or datetime.now(UTC)).astimezone().date()
    return f"{time:%H:%M:%S}" if time.date() == today else f"{time:%Y-%m-%d %H:%M}"


def within(interval: Interval | None, digits: int = 3) -> str:
    """Tell where a figure lies with 95 % confidence; nothing where that is not known."""
    return "" if interval is None else f"{interval.low:.{digits}f} … {interval.high:.{digits}f}"


def curve(values: Sequence[float], lowest: float = 0.0, highest: float = 1.0) -> str:
    """Draw values in one line of bars; more of them than fit in it are shown by the means of neighbours."""
    if not values:
        return ""
    ends = [round(n * len(values) / _WIDTH) for n in range(_WIDTH + 1)]
    parts = [values[a:b] for a, b in pairwise(ends)] if len(values) > _WIDTH else [[value] for value in values]
    steps = len(_BARS) - 1
    span = (highest - lowest) or 1.0
    heights = (min(1.0, max(0.0, (sum(part) / len(part) - lowest) / span)) for part in parts)
    return "".join(_BARS[round(height * steps)] for height in heights)
