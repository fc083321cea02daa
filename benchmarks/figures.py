"""Single figures that have a limit rather than a rival: how large, how long."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """Something that was measured once, and the most that it should be."""

    name: str
    value: float
    unit: str
    most: float | None = None


def figures_table(title: str, figures: Sequence[Figure]) -> Table:
    """Return one row for each figure."""
    made = Table(title=title)
    for heading in ("what", "measured", "at most"):
        made.add_column(heading, justify="left" if heading == "what" else "right")
    for figure in figures:
        limit = "" if figure.most is None else f"{figure.most:,g} {figure.unit}"
        made.add_row(figure.name, f"{figure.value:,.2f} {figure.unit}", limit)
    return made


def figures_as_json(name: str, figures: Sequence[Figure]) -> str:
    """Return everything that was measured as one line of JSON."""
    return json.dumps({"benchmark": name, "figures": [asdict(figure) for figure in figures]})
