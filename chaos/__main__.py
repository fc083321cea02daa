"""The command line: runs it, shows what came of it, and says how to do it again."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import sys
import tempfile
from pathlib import Path
from typing import TextIO

import structlog
from rich.console import Console

from chaos.report import Report
from chaos.running import PAGE, PICTURE, Told, run
from labelstream_local.process import StartFailed

RIGHT, WRONG, NOT_STARTED = 0, 1, 2
OWN_LOG = "own.log"


def main() -> int:
    """Answer the command line: 0 when all was right, 1 when something was not, 2 when the stack did not start."""
    asked = _parser().parse_args()
    told = _told(asked)
    try:
        report = asyncio.run(_run(told))
    except StartFailed as error:
        print(f"{error}\nEverything lies in {told.folder}.", file=sys.stderr)
        return NOT_STARTED
    except BaseException:
        print(f"It broke off. {_again(told)}", file=sys.stderr)
        raise
    _show(report, told)
    if asked.json:
        print(json.dumps(report.as_json()))
    return WRONG if report.course.evidence.wrong else RIGHT


async def _run(told: Told) -> Report:
    """Run it; asked to stop by the system, it takes everything down first."""
    running = asyncio.current_task()
    if running is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    told.folder.mkdir(parents=True, exist_ok=True)
    with (told.folder / OWN_LOG).open("a") as log:
        _keep_own_log(log)
        return await run(told, lambda line: print(line, file=sys.stderr, flush=True))


def _keep_own_log(file: TextIO) -> None:
    """Keep what our own producer and onlookers say of lost connections out of the story of the run."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(file),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0, help="how long faults come (default 20)")
    parser.add_argument("--seed", type=int, help="which faults and messages; left out, a random one, which is told")
    parser.add_argument("--no-training", action="store_true", help="annotations alone: no training, no predictions")
    parser.add_argument("--folder", type=Path, help="where everything is to lie (default: a new temporary folder)")
    parser.add_argument("--json", action="store_true", help="also print one JSON object, on the last line")
    parser.add_argument("--keep", action="store_true", help="keep logs and data also when all was right")
    return parser


def _told(asked: argparse.Namespace) -> Told:
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="labelstream-chaos-"))
    seed = random.SystemRandom().randrange(1_000_000) if asked.seed is None else asked.seed
    return Told(asked.minutes, seed, folder.resolve(), not asked.no_training, asked.keep)


def _show(report: Report, told: Told) -> None:
    Console(width=None if sys.stdout.isatty() else 140, highlight=False).print(report.table())
    for sentence, at in report.course.evidence.wrong.items():
        print(f"WRONG, after {at:.0f} s: {sentence}")
    print(f"{told.folder / PAGE} has the faults with their times, {told.folder / PICTURE} shows them.")
    if report.course.evidence.wrong:
        print(_again(told))


def _again(told: Told) -> str:
    options = "" if told.trains else " --no-training"
    return (
        f"Again: python -m chaos --seed {told.seed} --minutes {told.minutes:g}{options}. "
        f"The logs are in {told.folder / 'stack' / 'logs'}, the data beside them."
    )


if __name__ == "__main__":
    sys.exit(main())
