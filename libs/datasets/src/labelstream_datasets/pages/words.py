"""Figures as words on a page: every page says them the same way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

NOTHING = "–"


def short(number: float) -> str:
    """Return a number as it reads fast: 950, 1.2k, 48k, 3.1M."""
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if number >= limit:
            scaled = number / limit
            return f"{scaled:.1f}{unit}" if scaled < 10 and round(scaled, 1) % 1 else f"{scaled:.0f}{unit}"
    return f"{number:.0f}"


def percent(share: float) -> str:
    """Return a share as it reads fast: 12 %, 0.4 %, 0 %."""
    return (
        f"{share:.1%}".replace(".0%", "%").replace("%", " %") if 0 < share < 0.1 else f"{share:.0%}".replace("%", " %")
    )


def figure(value: float | None) -> str:
    """Return a metric: 0.873, or a dash where there is none."""
    return NOTHING if value is None else f"{value:.3f}"


def signed(value: float | None) -> str:
    """Return a difference: +0.021, −0.013, or a dash where there is none."""
    return NOTHING if value is None else f"{value:+.3f}".replace("-", "−")


def duration(seconds: float) -> str:
    """Return a time in two units at most: 48 s, 18 min 20 s, 3 h 05 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def some(names: Sequence[str], most: int = 12) -> str:
    """Return names one after the other, and how many more there are."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most:,} more" if len(names) > most else shown


def counted(number: int, noun: str) -> str:
    """Return 1 image, 2 images, 1,200 images."""
    return f"{number:,} {noun}{'' if number == 1 else 'es' if noun.endswith(('s', 'x')) else 's'}"


FILTERS: Mapping[str, Callable[..., str]] = MappingProxyType(
    {word.__name__: word for word in (short, percent, figure, signed, duration, some, counted)}
)
