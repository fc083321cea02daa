"""Runs one benchmark by name, or lists them all."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import finding
from benchmarks.figures import figures_as_json, figures_table
from benchmarks.pairs import measure
from benchmarks.report import as_json, table


def main() -> int:
    """Answer the command line; 0 when a benchmark ran, 2 when none of that name is there."""
    told = _parser().parse_args()
    described = finding.descriptions()
    if told.name not in described:
        print(f"There is no benchmark {told.name!r}." if told.name else "Say NAME=<name>, one of:")
        for name, description in described.items():
            print(f"  {name:12} {description}")
        return 2
    shown, line = asyncio.run(_run(told.name, described[told.name], told.pairs))
    Console(width=None if sys.stdout.isatty() else 140).print(shown)
    if told.json:
        print(line)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="?", default="", help="the benchmark; left out, all are listed")
    parser.add_argument("--pairs", type=int, default=7, help="rounds that count, after one that does not (default 7)")
    parser.add_argument("--json", action="store_true", help="also print one JSON object, on the last line")
    return parser


async def _run(name: str, title: str, pairs: int) -> tuple[Table, str]:
    """Run a benchmark; return what it showed as a table and as JSON."""
    with tempfile.TemporaryDirectory(prefix=f"labelstream-bench-{name}-") as folder:
        load = finding.load_contests(name)
        if load is None:
            figures = await finding.load_figures(name)(Path(folder))
            return figures_table(title, figures), figures_as_json(name, figures)
        async with load(Path(folder)) as contests:
            results = [await measure(contest, pairs, _progress) for contest in contests]
        return table(title, results), as_json(name, results)


def _progress(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
