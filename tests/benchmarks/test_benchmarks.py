from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks import finding
from benchmarks.pairs import OURS, Contest, Ratio, Run, measure
from benchmarks.report import as_json, table
from rich.console import Console

ROOT = Path(__file__).parents[2]


class Sides:
    """Sides that take the seconds that they are told to, and remember their turns."""

    def __init__(self) -> None:
        self.turns: list[str] = []

    def taking(self, name: str, *seconds: float) -> Run:
        left = iter(seconds)

        async def run() -> float:
            self.turns.append(name)
            return next(left)

        return run


@pytest.fixture
def sides() -> Sides:
    return Sides()


@pytest.fixture
def contest(sides: Sides) -> Callable[[Ratio], Contest]:
    """Return a function that makes a contest: a warm-up, then three rounds, in which ours takes 2, 4 and 1 seconds."""

    def make(ratio: Ratio) -> Contest:
        others = {"slow": sides.taking("slow", 50, 9, 9, 9), "fast": sides.taking("fast", 50, 1, 3, 2)}
        return Contest("lift", sides.taking(OURS, 99, 2, 4, 1), others, 12, "stones", ratio)

    return make


@pytest.mark.parametrize(
    ("ratio", "least", "median", "greatest"),
    [("ratio_to_ceiling", 0.5, 0.75, 2), ("ratio_to_best_peer", 0.5, 0.75, 2), ("ratio_to_bare", 0.5, 4 / 3, 2)],
)
async def test_a_ratio_compares_ours_with_the_fastest_other_of_the_same_round(
    contest: Callable[[Ratio], Contest], ratio: Ratio, least: float, median: float, greatest: float
) -> None:
    result = await measure(contest(ratio), pairs=3)
    assert (result.ratio.least, result.ratio.median, result.ratio.greatest) == pytest.approx((least, median, greatest))
    assert result.rate(OURS).median == 6  # stones a second
    assert result.rate("fast").greatest == 12


async def test_the_sides_take_turns_and_the_first_round_does_not_count(
    contest: Callable[[Ratio], Contest], sides: Sides
) -> None:
    result = await measure(contest("ratio_to_bare"), pairs=3)
    order = [OURS, "slow", "fast"]
    assert sides.turns == order[::-1] + order + order[::-1] + order
    assert [seconds[OURS] for seconds in result.rounds] == [2, 4, 1]


async def test_a_result_is_one_line_of_json_and_a_row_of_a_table(contest: Callable[[Ratio], Contest]) -> None:
    results = [await measure(contest("ratio_to_ceiling"), pairs=3)]
    line = as_json("stones", results)
    (told,) = json.loads(line)["contests"]
    assert "\n" not in line
    assert told["ratio_to_ceiling"] == {"min": 0.5, "median": 0.75, "max": 2.0}
    assert told["rates"]["slow"]["median"] == pytest.approx(12 / 9)
    console = Console(width=200, file=io.StringIO(), record=True)
    console.print(table("Stones", results))
    assert "0.50 … 2.00" in console.export_text()


def test_a_contest_needs_somebody_to_compare_with(sides: Sides) -> None:
    with pytest.raises(ValueError, match="at least one other"):
        Contest("alone", sides.taking(OURS, 1), {}, 1, "stones")


@pytest.mark.parametrize("name", finding.descriptions())
def test_every_benchmark_says_what_it_measures_and_can_be_imported(name: str) -> None:
    assert finding.descriptions()[name].endswith(".")
    assert callable(finding.load_contests(name) or finding.load_figures(name) or finding.load_sheets(name))


def test_without_a_name_the_benchmarks_are_listed() -> None:
    done = subprocess.run([sys.executable, "-m", "benchmarks"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert {line.split()[0] for line in done.stdout.splitlines()[1:]} == set(finding.descriptions()) >= {"streams"}
