"""What came of the rounds: a table of everybody, and how ours stands against the ceiling and the best peer."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

from rich.table import Table

from benchmarks.pairs import Spread
from benchmarks.serving.contestants import CEILING, CEILING_THERE, OURS_FASTEST, OURS_FLOAT, OURS_THERE, PEERS
from benchmarks.serving.rounds import Measured
from benchmarks.sheets import sheet

NEAR_CEILING, FASTER = 0.9, 1.5
MIB = 1 << 20


@dataclass(frozen=True)
class Verdict:
    """A ratio that was taken within each round, and what is wanted of its median."""

    what: str
    ratio: Spread
    wanted: float
    at_least: bool  # else at most

    @property
    def met(self) -> bool:
        """Whether the median is as wanted."""
        return self.ratio.median >= self.wanted if self.at_least else self.ratio.median <= self.wanted

    def as_data(self) -> dict[str, object]:
        """Return it as JSON-like data."""
        return {**asdict(self), "met": self.met}


def table(title: str, measured: Sequence[Measured]) -> Table:
    """Return one row for each contestant, with medians over the rounds."""
    every = sorted({each.concurrency for each in measured})
    cells = _by_place(measured)
    headings = [
        "",
        *(f"/s at {each}" for each in every),
        *(f"p50 / p99 ms at {each}" for each in every),
        "MiB",
        "errors",
    ]
    rows = []
    for name in dict.fromkeys(each.name for each in measured):
        here = [cells.get((name, each), []) for each in every]
        memory = max((each.pss_bytes for place in here for each in place), default=0)
        rows.append([
            name,
            *(_rate(place) for place in here),
            *(_latencies(place) for place in here),
            f"{memory / MIB:,.0f}" if memory else "",
            str(sum(each.errors for place in here for each in place)),
        ])  # fmt: skip
    return sheet(title, headings, rows)


def verdicts(measured: Sequence[Measured]) -> list[Verdict]:
    """Hold ours beside the ceiling and the best peer of each round; what was not measured is left out."""
    cells, every = _by_place(measured), sorted({each.concurrency for each in measured})
    found = [
        _against(cells, "same file: rate / ceiling's", OURS_FLOAT, [CEILING], 8, NEAR_CEILING),
        _against(cells, "in onnxruntime: rate / ceiling's", OURS_THERE, [CEILING_THERE], 8, NEAR_CEILING),
        *(_against(cells, "same file: rate / best peer's", OURS_FLOAT, PEERS, each, 1.0) for each in every),
        *(_against(cells, "same file: p99 / best peer's", OURS_FLOAT, PEERS, each, None) for each in every),
        *(_against(cells, "in onnxruntime: rate / best peer's", OURS_THERE, PEERS, each, 1.0) for each in every),
        *(_against(cells, "in onnxruntime: p99 / best peer's", OURS_THERE, PEERS, each, None) for each in every),
        *(_against(cells, "fastest proved: rate / best peer's", OURS_FASTEST, PEERS, each, FASTER) for each in every),
    ]
    return [each for each in found if each is not None]


def verdict_table(found: Sequence[Verdict]) -> Table:
    """Return one row for each verdict."""
    rows = [
        [
            each.what,
            f"{each.ratio.median:.2f}",
            f"{each.ratio.least:.2f} … {each.ratio.greatest:.2f}",
            f"{'≥' if each.at_least else '≤'} {each.wanted:g}",
            "yes" if each.met else "NO",
        ]
        for each in found
    ]
    return sheet("Ratios within each round", ["", "median", "min … max", "wanted", "met"], rows)


Cells = dict[tuple[str, int], list[Measured]]


def _by_place(measured: Iterable[Measured]) -> Cells:
    cells: Cells = defaultdict(list)
    for each in measured:
        cells[each.name, each.concurrency].append(each)
    return dict(cells)


def _against(
    cells: Cells, what: str, mine: str, others: Sequence[str], concurrency: int, at_least: float | None
) -> Verdict | None:
    """Compare rates, which should be `at_least` so many times the best other's, or (None) the 99th percentiles.

    The best other is the one that ours looks worst beside over all rounds. (The luckiest of each round would look
    better than any one of them is: the machine's minutes differ more than the servers do.)
    """
    value: Callable[[Measured], float] = (
        (lambda each: each.p99_ms) if at_least is None else (lambda each: each.per_second)
    )
    found = []
    for name in others:
        there = {each.round: value(each) for each in cells.get((name, concurrency), [])}
        ours = [each for each in cells.get((mine, concurrency), []) if each.round in there]
        if ours:
            found.append((Spread.of([value(each) / there[each.round] for each in ours]), name))
    if not found:
        return None
    pick = max if at_least is None else min
    ratio, name = pick(found, key=lambda each: each[0].median)
    beside = f"{what} ({name})" if len(others) > 1 else what
    return Verdict(f"{beside}, {concurrency} at once", ratio, at_least or 1.0, at_least is not None)


def _rate(place: Sequence[Measured]) -> str:
    return f"{statistics.median(each.per_second for each in place):.1f}" if place else ""


def _latencies(place: Sequence[Measured]) -> str:
    if not place:
        return ""
    p50, p99 = (
        statistics.median(values) for values in zip(*((each.p50_ms, each.p99_ms) for each in place), strict=True)
    )
    return f"{p50:.0f} / {p99:.0f}"
