"""Showing results: a table for people, one JSON object for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from benchmarks.pairs import OURS, Result, Spread


def table(title: str, results: Sequence[Result]) -> Table:
    """Return one row for each contest, with the medians of the rates and the spread of the ratio."""
    made = Table(title=title)
    for heading in ("work", "ours", "others", "ratio", "median", "min … max"):
        made.add_column(heading, justify="left" if heading in {"work", "ratio"} else "right")
    for result in results:
        unit, ratio = result.contest.unit, result.ratio
        others = [f"{side} {_rate(result.rate(side), unit)}" for side in result.contest.others]
        made.add_row(
            result.contest.name,
            _rate(result.rate(OURS), unit),
            "\n".join(others),
            result.contest.ratio,
            f"{ratio.median:.2f}",
            f"{ratio.least:.2f} … {ratio.greatest:.2f}",
        )
    return made


def as_json(name: str, results: Sequence[Result]) -> str:
    """Return everything that was measured as one line of JSON."""
    return json.dumps({"benchmark": name, "contests": [_described(result) for result in results]})


def _described(result: Result) -> dict[str, Any]:
    contest = result.contest
    return {
        "name": contest.name,
        "unit": contest.unit,
        "amount": contest.amount,
        contest.ratio: _spread(result.ratio),
        "rates": {side: _spread(result.rate(side)) for side in (OURS, *contest.others)},
        "seconds": list(result.rounds),
    }


def _rate(rate: Spread, unit: str) -> str:
    return f"{rate.median:,.0f} {unit}/s" if rate.median >= 10 else f"{rate.median:.2f} {unit}/s"


def _spread(spread: Spread) -> dict[str, float]:
    named = asdict(spread)
    return {"min": named["least"], "median": named["median"], "max": named["greatest"]}
