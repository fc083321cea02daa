"""A run from its first process to its report."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from chaos.alarms import can_be_watched
from chaos.comparing import Comparing
from chaos.course import Course
from chaos.diary import Diary
from chaos.evidence import Evidence
from chaos.judges import rates
from chaos.page import page
from chaos.report import Report
from chaos.stage import stage
from chaos.timeline import draw

LINES, REPORT, PAGE, PICTURE = "lines.log", "report.json", "report.md", "timeline.png"
REMOVED = ("stack", "replay", "disks", "clocks", "bundles")  # when all went well


@dataclass(frozen=True)
class Told:
    """What the command line says."""

    minutes: float
    seed: int
    folder: Path
    trains: bool = True
    keep: bool = False


async def run(told: Told, say: Callable[[str], object]) -> Report:
    """Do a run; the folder keeps its report, and everything when something was wrong. Raises StartFailed."""
    began = time.monotonic()
    told.folder.mkdir(parents=True, exist_ok=True)
    diary = Diary(say, told.folder / LINES)
    evidence = Evidence(diary)
    diary.tell(f"seed {told.seed}, {told.minutes:g} min, in {told.folder}: the stack starts")
    async with stage(told.folder, trains=told.trains, watched=told.trains and can_be_watched()) as on:
        diary.tell(f"it is up: {on.in_words()}")
        course = Course(on, told.seed, told.minutes, diary, evidence)
        comparing = Comparing(course, told.folder)
        try:
            await course.run()
        except ExceptionGroup as broke:
            diary.tell("".join(traceback.format_exception(broke)))
            evidence.add(f"the run broke off: {error!r}" for error in broke.exceptions)
        evidence.add(course.judged(over=True))
        await comparing.on_stage(on)
    await comparing.without_it(on)
    report = Report(course, comparing, time.monotonic() - began)
    if told.trains:
        evidence.add(rates.rates(report.rate))
    if course.has_outages and course.alarms is not None:
        evidence.add(course.alarms.silent())
    await asyncio.to_thread(_write, report, told)
    return report


def _write(report: Report, told: Told) -> None:
    (told.folder / REPORT).write_text(json.dumps(report.as_json(), indent=1) + "\n")
    (told.folder / PAGE).write_text(page(report, PICTURE))
    draw(report, told.folder / PICTURE)
    if not told.keep and not report.course.evidence.wrong:
        for name in REMOVED:
            shutil.rmtree(told.folder / name, ignore_errors=True)
