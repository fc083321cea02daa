"""Plots as inline SVG. Colours come from the page's style, so that they suit light and dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from labelstream_datasets.pages.words import percent, short

_WIDE, _HIGH = 480, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 42, 20, 22, 28  # room around the plot


@dataclass(frozen=True)
class Bar:
    """One bar of a histogram."""

    count: int
    said: str  # what it counts, shown when one points at it


def histogram(bars: Sequence[Bar], ticks: Mapping[float, str], marks: Mapping[float, str] | None = None) -> Markup:
    """Draw bars side by side. `ticks` and `marks` (dashed lines) stand at so many bars from the left."""
    most = _ceiling(max((bar.count for bar in bars), default=0))
    step = (_WIDE - _LEFT - _RIGHT) / max(1, len(bars))
    floor, height = _HIGH - _BOTTOM, _HIGH - _BOTTOM - _TOP
    parts: list[str] = []
    for part in (0.5, 1.0):
        y = floor - part * height
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDE - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(text(_LEFT - 6, y + 4, short(most * part), "end"))
    for number, bar in enumerate(bars):
        tall = max(1.5, bar.count / most * height) if bar.count else 0
        x = _LEFT + number * step
        parts.append(
            f"<g><title>{escape(bar.said)}: {bar.count:,}</title>"
            f'<rect class="air" x="{x:.1f}" y="{_TOP}" width="{step:.1f}" height="{height}"/>'
            f'<rect class="bar" x="{x + step * 0.08:.1f}" y="{floor - tall:.1f}" width="{step * 0.84:.1f}" '
            f'height="{tall:.1f}" rx="1.5"/></g>'
        )
    for at, said in (marks or {}).items():
        x = _LEFT + at * step
        parts.append(f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 6}" y2="{floor}"/>')
        parts.append(text(x + 4, _TOP - 8, said))
    parts.append(f'<line class="axis" x1="{_LEFT}" x2="{_WIDE - _RIGHT}" y1="{floor}" y2="{floor}"/>')
    parts += [text(_LEFT + at * step, _HIGH - 8, said, "middle") for at, said in ticks.items()]
    return svg(_WIDE, _HIGH, parts)


def heatmap(rows: Sequence[Sequence[int]], said: str) -> Markup:
    """Draw counts as cells, the fuller the darker. `said` names what a cell counts."""
    most = max((count for row in rows for count in row), default=0) or 1
    side = 300 / max(1, len(rows))
    all_of_them = sum(map(sum, rows)) or 1
    parts = [
        f'<rect class="heat" x="{x * side:.1f}" y="{y * side:.1f}" width="{side + 0.2:.1f}" height="{side + 0.2:.1f}" '
        f'style="opacity:{(count / most) ** 0.6:.2f}"><title>{count:,} {escape(said)}, '
        f"{percent(count / all_of_them)}</title></rect>"
        for y, row in enumerate(rows)
        for x, count in enumerate(row)
        if count
    ]
    return svg(300, 300, ['<rect class="paper" width="300" height="300"/>', *parts])


def _ceiling(most: int) -> float:
    """Return the round number at or above the highest bar."""
    unit = 10.0 ** (len(str(most)) - 1)
    return next((unit * step for step in (1, 2, 4, 6, 8, 10) if unit * step >= most), 1.0) if most else 1.0


def text(x: float, y: float, said: str, anchor: str = "start", more: str = "") -> str:
    """Write into a drawing; `more` are attributes of ours."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(said)}</text>'


def svg(wide: float, high: float, parts: Sequence[str], *, name: str = "", fixed: bool = False) -> Markup:
    """Put a drawing together out of parts whose foreign text was escaped; `fixed`: as large as it says, no larger."""
    label = f' aria-label="{escape(name)}"' if name else ""
    style = f' style="width:{wide:.0f}px"' if fixed else ""
    drawn = f'<svg viewBox="0 0 {wide:.0f} {high:.0f}" role="img"{label}{style}>{"".join(parts)}</svg>'
    return Markup(drawn)  # noqa: S704  # escaped above
