"""Who was taken for whom, as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from labelstream_datasets.pages.figures import svg, text
from labelstream_datasets.pages.words import percent

_NUMBERED = 14  # rows up to which a cell is large enough for its number
_LONGEST = 22  # characters of a name


def matrix(names: Sequence[str], counts: Sequence[Sequence[int]], rows: str, columns: str) -> Markup:
    """Draw counts; the shade is the share of its row, the diagonal has a colour of its own.

    `names` are those of the rows and of the columns, `rows` and `columns` what they stand for.
    """
    numbered = len(names) <= _NUMBERED
    cell = 46.0 if numbered else 12.0
    cut = [_cut(name) for name in names]
    letter = 6.8 if numbered else 5.6
    left = 26 + letter * max(map(len, cut), default=0)
    top = left if not numbered else 26 + letter * max(map(len, cut), default=0) * 0.75
    side = cell * len(names)
    parts = [f'<rect class="paper" x="{left:.1f}" y="{top:.1f}" width="{side:.1f}" height="{side:.1f}"/>']
    parts += [] if numbered else _lines(left, top, cell, len(names))
    for y, row in enumerate(counts):
        total = sum(row)
        for x, count in enumerate(row):
            if count:
                said = f"{names[y]} → {names[x]}: {count:,}, {percent(count / total)} of the row"
                place = left + x * cell, top + y * cell, cell
                parts.append(_cell(place, count, count / total, said, diagonal=x == y, numbered=numbered))
    parts += _names(cut, left, top, cell, numbered=numbered)
    parts.append(text(left + side / 2, 12, columns, "middle", ' class="of"'))
    middle = top + side / 2
    parts.append(text(11, middle, rows, "middle", f' class="of" transform="rotate(-90 11 {middle:.1f})"'))
    wide = left + side + (left * 0.6 if numbered else 2)
    return svg(wide, top + side + 2, parts, name=f"{rows} by {columns}", fixed=True)


def _cell(
    place: tuple[float, float, float], count: int, share: float, said: str, *, diagonal: bool, numbered: bool
) -> str:
    x, y, cell = place
    kind = "hit" if diagonal else "slip"
    drawn = (
        f'<rect class="{kind}" x="{x + 0.5:.1f}" y="{y + 0.5:.1f}" width="{cell - 1:.1f}" height="{cell - 1:.1f}" '
        f'style="opacity:{0.08 + 0.92 * share**0.7:.2f}"/>'
    )
    if numbered:
        style = ' class="on"' if share > 0.45 else ' class="off"'
        drawn += text(x + cell / 2, y + cell / 2 + 4, f"{count:,}" if count < 1e5 else f"{count:.0e}", "middle", style)
    return f"<g><title>{escape(said)}</title>{drawn}</g>"


def _lines(left: float, top: float, cell: float, rows: int) -> list[str]:
    """Draw a line after every fifth row and column, for the eye to follow."""
    side = rows * cell
    parts = []
    for at in range(5, rows, 5):
        x, y = left + at * cell, top + at * cell
        parts.append(f'<path class="grid" d="M{left:.1f} {y:.1f}h{side:.1f}M{x:.1f} {top:.1f}v{side:.1f}"/>')
    return parts


def _names(names: Sequence[str], left: float, top: float, cell: float, *, numbered: bool) -> list[str]:
    size = "" if numbered else ' class="tiny"'
    parts = []
    for number, name in enumerate(names):
        middle = (number + 0.5) * cell
        parts.append(text(left - 6, top + middle + 4, name, "end", size))
        x, y = left + middle + 3, top - 6
        turn = -45 if numbered else -90
        parts.append(text(x, y, name, "start", f'{size} transform="rotate({turn} {x:.1f} {y:.1f})"'))
    return parts


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"
