"""Runs one benchmark by name, or lists them all."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks import finding
from benchmarks.pairs import Result, measure
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
    results = asyncio.run(_run(told.name, told.pairs))
    Console(width=None if sys.stdout.isatty() else 140).print(table(described[told.name], results))
    if told.json:
        print(as_json(told.name, results))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="?", default="", help="the benchmark; left out, all are listed")
    parser.add_argument("--pairs", type=int, default=7, help="rounds that count, after one that does not (default 7)")
    parser.add_argument("--json", action="store_true", help="also print one JSON object, on the last line")
    return parser


async def _run(name: str, pairs: int) -> list[Result]:
    with tempfile.TemporaryDirectory(prefix=f"labelstream-bench-{name}-") as folder:
        async with finding.load(name)(Path(folder)) as contests:
            return [await measure(contest, pairs, _progress) for contest in contests]


def _progress(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
