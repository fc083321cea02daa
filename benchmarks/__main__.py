"""Runs one benchmark by name, or lists them all."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import finding
from benchmarks.figures import figures_as_json, figures_table
from benchmarks.pairs import measure
from benchmarks.report import as_json, table


def main() -> int:
    """Answer the command line: 0 when a benchmark ran, 1 when --strict is not met, 2 when there is no such one."""
    told = _parser().parse_args()
    described = finding.descriptions()
    if told.name not in described:
        print(f"There is no benchmark {told.name!r}." if told.name else "Say NAME=<name>, one of:")
        for name, description in described.items():
            print(f"  {name:12} {description}")
        return 2
    ran = asyncio.run(_run(told.name, described[told.name], told.pairs))
    console = Console(width=None if sys.stdout.isatty() else 140)
    for shown in ran.tables:
        console.print(shown)
    for failed in ran.failed:
        print(f"not as wanted: {failed}", file=sys.stderr)
    if told.json:
        print(ran.line)
    return 1 if told.strict and ran.failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="?", default="", help="the benchmark; left out, all are listed")
    parser.add_argument("--pairs", type=int, default=7, help="rounds that count, after one that does not (default 7)")
    parser.add_argument("--json", action="store_true", help="also print one JSON object, on the last line")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when something is not as wanted")
    return parser


@dataclass(frozen=True)
class Ran:
    """What a benchmark showed, as tables and as JSON, and what was not as wanted."""

    tables: Sequence[Table]
    line: str
    failed: Sequence[str] = ()


async def _run(name: str, title: str, pairs: int) -> Ran:
    """Run a benchmark of any kind."""
    with tempfile.TemporaryDirectory(prefix=f"labelstream-bench-{name}-") as folder:
        load_contests, load_figures = finding.load_contests(name), finding.load_figures(name)
        if load_contests is not None:
            async with load_contests(Path(folder)) as contests:
                results = [await measure(contest, pairs, _progress) for contest in contests]
            return Ran([table(title, results)], as_json(name, results))
        if load_figures is not None:
            figures = await load_figures(Path(folder))
            return Ran([figures_table(title, figures)], figures_as_json(name, figures))
        shown = await finding.load_sheets(name)(Path(folder))
        return Ran(shown.tables, shown.as_json(name), shown.failed)


def _progress(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
