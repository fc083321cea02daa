"""One trained YOLO11n on the CPU over HTTP: ours, LitServe, mosec, BentoML, ultralytics with FastAPI, a bare loop.

At 1, 8 and 64 requests at once, five rounds: about an hour. In a round each is loaded for 20 s, in turns of 5 s (10 s
at 64) that everybody takes one after the other while the rest idle; the load is a process of its own on the same
machine. DATA=<folder> trains and asks on annotated photographs with published splits, in any form that
`labelstream push` takes; without it, scenes are drawn. ROUNDS, SECONDS, AT (concurrencies) and WHO (parts of names,
such as WHO=ours,mosec) make it shorter.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from benchmarks.serving.contestants import PEERS_PYTHON, Contestant, contestants
from benchmarks.serving.model import trained_model
from benchmarks.serving.rounds import Plan, run_rounds
from benchmarks.serving.verdicts import table, verdict_table, verdicts
from benchmarks.sheets import Sheets

ROUNDS = int(os.environ.get("ROUNDS", "5"))
SECONDS = float(os.environ.get("SECONDS", "20"))
AT = tuple(int(each) for each in os.environ.get("AT", "1,8,64").split(","))
WHO = os.environ.get("WHO", "")


async def sheets(folder: Path) -> Sheets:
    """Prepare the model, then measure everybody in turn."""
    if not await asyncio.to_thread(PEERS_PYTHON.exists):
        raise SystemExit("The peers are not installed: `make bench NAME=serve` does it.")
    prepared = await trained_model()
    plan = Plan(ROUNDS, SECONDS)
    chosen = [each for each in contestants(prepared, AT, folder) if _wanted(each)]
    for name, why in prepared.unproven.items():
        _told(f"{name} is left out: {why}")
    _told(f"{len(chosen)} contestants, about {plan.estimate_s(chosen) / 60:.0f} minutes")
    measured = await run_rounds(chosen, prepared.images[0].parent, plan, folder, _told)
    order = {each.name: place for place, each in enumerate(chosen)}
    measured.sort(key=lambda each: (order[each.name], each.concurrency, each.round))
    found = verdicts(measured)
    title = f"YOLO11n at 640 px, {len(prepared.images)} pictures of {prepared.source}, medians of {plan.repeats} rounds"
    wrong = sorted({f"{each.name}: {each.first_error}" for each in measured if each.errors})
    data = {
        "pictures": prepared.source,
        "formats": prepared.formats,
        "left_out": prepared.unproven,
        "plan": {"rounds": plan.repeats, "seconds": plan.seconds, "at": AT},
        "measured": [each.as_data() for each in measured],
        "verdicts": [each.as_data() for each in found],
    }
    missed = [f"{each.what} is {each.ratio.median:.2f}" for each in found if not each.met]
    return Sheets([table(title, measured), verdict_table(found)], data, (*wrong, *missed))


def _wanted(contestant: Contestant) -> bool:
    return not WHO or any(part.strip().lower() in contestant.name.lower() for part in WHO.split(","))


def _told(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
