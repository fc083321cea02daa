"""Lines over axes as inline SVG; each line has a dash of its own, so that they differ without colour."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from labelstream_datasets.pages.figures import svg, text

MOST_POINTS = 400  # more can't be told apart on a page
STYLES = 4  # lines that the page's style tells apart


@dataclass(frozen=True)
class Line:
    """One line; points that are not finite are left out."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Mark:
    """A place on the x axis that has a meaning, drawn as a dashed line."""

    at: float
    said: str
    dotted: bool = True  # a dot on each line where it meets the mark


@dataclass(frozen=True)
class Axis:
    """What an axis spans, and where it is marked."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    label: str = ""

    def place(self, value: float) -> float:
        """Return where a value stands, from 0 to 1."""
        return (value - self.low) / (self.high - self.low)

    @classmethod
    def of(cls, values: Iterable[float], label: str = "", *, from_zero: bool = True, whole: bool = False) -> Axis:
        """Span the values between round numbers; `whole`: only whole numbers are marked."""
        finite = [value for value in values if math.isfinite(value)] or [0.0]
        low, high = min(finite), max(finite)
        low = min(0.0, low) if from_zero else low
        if high <= low:
            high = low + 1.0
        step = _round_step((high - low) / 4)
        step = max(1.0, step) if whole else step
        first = math.floor(low / step + 1e-9) if from_zero else math.ceil(low / step - 1e-9)
        last = math.ceil(high / step - 1e-9) if from_zero else math.floor(high / step + 1e-9)
        ticks = tuple((n * step, _tick(n * step, step)) for n in range(first, last + 1))
        return cls(first * step, last * step, ticks, label) if from_zero else cls(low, high, ticks, label)

    @classmethod
    def shares(cls, label: str = "", parts: int = 4) -> Axis:
        """Span 0 to 1."""
        return cls(0.0, 1.0, tuple((n / parts, f"{n / parts:g}") for n in range(parts + 1)), label)


@dataclass(frozen=True)
class Frame:
    """How large a chart is drawn, and the room around the plot, in pixels."""

    wide: float = 480
    high: float = 240
    left: float = 66
    right: float = 16
    top: float = 38
    bottom: float = 40

    def x(self, share: float) -> float:
        """Return the place of a share of the width."""
        return self.left + share * (self.wide - self.left - self.right)

    def y(self, share: float) -> float:
        """Return the place of a share of the height, from below."""
        return self.high - self.bottom - share * (self.high - self.bottom - self.top)


def chart(lines: Sequence[Line], x: Axis, y: Axis, marks: Sequence[Mark] = (), frame: Frame | None = None) -> Markup:
    """Draw lines over axes, with a key above."""
    frame = frame or Frame()
    parts = [*_grid(x, y, frame), *_marks(marks, x, frame)]
    dotted = frozenset(mark.at for mark in marks if mark.dotted)
    for number, line in enumerate(lines):
        parts += _line(line, f"l{number % STYLES}", x, y, frame, dotted)
    parts += _key([line.name for line in lines], frame)
    return svg(frame.wide, frame.high, parts, name=", ".join(line.name for line in lines))


SMALL = Frame(150, 96, 14, 4, 4, 14)  # one of many side by side
MEDIUM = Frame(264, 170, 16, 6, 6, 18)


def area(points: Sequence[tuple[float, float]], name: str, frame: Frame = SMALL) -> Markup:
    """Draw a curve over shares with its area filled; the axes run from 0 to 1."""
    axis = Axis.shares(parts=2)
    path = " ".join(f"{frame.x(a):.1f},{frame.y(b):.1f}" for a, b in points)
    floor = frame.y(0)
    parts = [
        f'<rect class="paper" x="{frame.x(0):.1f}" y="{frame.y(1):.1f}" width="{frame.x(1) - frame.x(0):.1f}" '
        f'height="{floor - frame.y(1):.1f}"/>',
        *(
            f'<line class="grid" x1="{frame.x(0):.1f}" x2="{frame.x(1):.1f}" y1="{frame.y(at):.1f}" '
            f'y2="{frame.y(at):.1f}"/>'
            for at, _ in axis.ticks
        ),
        text(frame.x(0) - 3, frame.y(1) + 8, "1", "end"),
        text(frame.x(0) - 3, floor + 1, "0", "end"),
        text(frame.x(1), frame.high - 2, "1", "end"),
    ]
    if points:
        ends = f"{frame.x(points[0][0]):.1f},{floor:.1f} {path} {frame.x(points[-1][0]):.1f},{floor:.1f}"
        parts += [f'<polygon class="fill" points="{ends}"/>', f'<polyline class="line l0" points="{path}"/>']
    return svg(frame.wide, frame.high, parts, name=name)


def _grid(x: Axis, y: Axis, frame: Frame) -> list[str]:
    left, right, floor, top = frame.x(0), frame.x(1), frame.y(0), frame.y(1)
    parts = []
    for at, said in y.ticks:
        place = frame.y(y.place(at))
        parts.append(f'<line class="grid" x1="{left:.1f}" x2="{right:.1f}" y1="{place:.1f}" y2="{place:.1f}"/>')
        parts.append(text(left - 6, place + 4, said, "end"))
    parts.append(f'<line class="axis" x1="{left:.1f}" x2="{right:.1f}" y1="{floor:.1f}" y2="{floor:.1f}"/>')
    for at, said in x.ticks:
        place = frame.x(x.place(at))
        parts.append(f'<line class="axis" x1="{place:.1f}" x2="{place:.1f}" y1="{floor:.1f}" y2="{floor + 4:.1f}"/>')
        parts.append(text(place, floor + 16, said, "middle"))
    parts.append(text((left + right) / 2, frame.high - 6, x.label, "middle"))
    middle = (floor + top) / 2
    parts.append(text(11, middle, y.label, "middle", f' transform="rotate(-90 11 {middle:.1f})"'))
    return parts


def _marks(marks: Sequence[Mark], x: Axis, frame: Frame) -> list[str]:
    parts = []
    for mark in marks:
        share = x.place(mark.at)
        place, beyond = frame.x(share), share > 0.7
        parts.append(
            f'<line class="mark" x1="{place:.1f}" x2="{place:.1f}" y1="{frame.y(1) - 4:.1f}" y2="{frame.y(0):.1f}"/>'
        )
        parts.append(text(place + (-4 if beyond else 4), frame.y(1) - 6, mark.said, "end" if beyond else "start"))
    return parts


def _line(line: Line, style: str, x: Axis, y: Axis, frame: Frame, marked: frozenset[float]) -> list[str]:
    points = [(a, b) for a, b in line.points if math.isfinite(a) and math.isfinite(b)]
    path, dots = [], []
    for at, value in _thinned(points, marked):
        px, py = frame.x(x.place(at)), frame.y(y.place(value))
        path.append(f"{px:.1f},{py:.1f}")
        if at in marked or len(points) == 1:
            said = f"<title>{escape(line.name)} {value:.4g}</title>"
            dots.append(f'<circle class="dot-{style}" cx="{px:.1f}" cy="{py:.1f}" r="3.5">{said}</circle>')
    drawn = [f'<polyline class="line {style}" points="{" ".join(path)}"/>'] if len(path) > 1 else []
    return drawn + dots


def _thinned(points: Sequence[tuple[float, float]], kept: frozenset[float]) -> list[tuple[float, float]]:
    every = -(-len(points) // MOST_POINTS)
    last = len(points) - 1
    return [point for n, point in enumerate(points) if n % max(1, every) == 0 or n == last or point[0] in kept]


def _key(names: Sequence[str], frame: Frame) -> list[str]:
    parts, at = [], frame.left
    for number, name in enumerate(names):
        style = f"l{number % STYLES}"
        parts.append(f'<line class="line {style}" x1="{at:.1f}" x2="{at + 22:.1f}" y1="10" y2="10"/>')
        parts.append(text(at + 27, 14, name))
        at += 45 + 6.4 * len(name)
    return parts


def _round_step(about: float) -> float:
    unit = 10.0 ** math.floor(math.log10(about))
    return next(unit * step for step in (1, 2, 2.5, 5, 10) if unit * step >= about * 0.999)


def _tick(value: float, step: float) -> str:
    if abs(value) < step / 2:
        return "0"
    return f"{value:,.0f}" if step >= 1 else f"{value:.4g}"
