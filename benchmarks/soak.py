"""100,000 requests of many kinds to the smallest model, with swaps meanwhile: memory, files and threads stay flat.

SOAK=<n> sends another number. The service is a whole replica of inference with a broker and a store in memory. The
first fifth of the requests is the warm-up; the medians of the second and of the last fifth are compared.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic

import httpx
import psutil

from benchmarks.serving.cells import cells
from benchmarks.serving.server import Start, Watched, memory_of, served
from benchmarks.serving.soaking import Soaked, soak
from benchmarks.sheets import Sheets, sheet

REQUESTS = int(os.environ.get("SOAK", "100000"))
SWAPS = 20  # about so many, at 400 requests/s
MOST_GROWTH = 1.05
MOST_MORE = 2  # open files and threads: one that comes and goes is no leak
FIFTHS = 5
LOOK_EVERY_S = 0.25
MIB = 1 << 20


@dataclass(frozen=True)
class Look:
    """What the service held at one moment."""

    requests: int  # that were over
    memory_bytes: int  # its own, and its share of what it shares
    files: int
    threads: int


async def sheets(folder: Path) -> Sheets:
    """Start the replica, soak it, and compare."""
    argv = (sys.executable, "-m", "benchmarks.serving.replica", "--port", "{port}", "--folder", str(folder))
    start = Start((*argv, "--swap-every", f"{max(2.0, REQUESTS / 400 / SWAPS):.0f}"), path="/v1/predict")
    began = monotonic()
    async with served("soak", start, cells(".jpg"), folder) as server:
        soaked, looks = await _soaked(server)
        seconds = monotonic() - began
        swaps = await asyncio.to_thread(_swaps, server)
    early, late = window(looks, 1), window(looks, FIFTHS - 1)
    failed = [*_grown(early, late), *(f"{what} ({times} times)" for what, times in soaked.wrong.items())]
    if swaps < 2:
        failed.append(f"the model was swapped {swaps} times")
    rows = [
        ["memory, MiB", f"{early.memory_bytes / MIB:.1f}", f"{late.memory_bytes / MIB:.1f}", f"× {MOST_GROWTH}"],
        ["open files", str(early.files), str(late.files), f"+ {MOST_MORE}"],
        ["threads", str(early.threads), str(late.threads), f"+ {MOST_MORE}"],
    ]
    title = f"{soaked.total:,} requests in {seconds / 60:.1f} min, {swaps} promotions, {soaked.wrong.total()} wrong"
    table = sheet(title, ["median of", "second fifth", "last fifth", "at most"], rows)
    data = {
        "requests": soaked.total, "seconds": seconds, "promotions": swaps, "kinds": dict(soaked.asked),
        "wrong": dict(soaked.wrong), "second_fifth": asdict(early), "last_fifth": asdict(late),
    }  # fmt: skip
    return Sheets([table], data, tuple(failed))


def window(looks: Sequence[Look], fifth: int) -> Look:
    """Return the medians of one fifth of the requests, from 0."""
    last = max(1, looks[-1].requests)
    inside = [each for each in looks if fifth / FIFTHS <= each.requests / last <= (fifth + 1) / FIFTHS]
    columns = zip(*(tuple(asdict(each).values()) for each in inside), strict=True)
    return Look(*(round(statistics.median(column)) for column in columns))


def _grown(early: Look, late: Look) -> list[str]:
    said = []
    if late.memory_bytes > early.memory_bytes * MOST_GROWTH:
        said.append(f"memory grew from {early.memory_bytes / MIB:.1f} to {late.memory_bytes / MIB:.1f} MiB")
    for what, before, after in (("open files", early.files, late.files), ("threads", early.threads, late.threads)):
        if after > before + MOST_MORE:
            said.append(f"{what} grew from {before} to {after}")
    return said


async def _soaked(server: Watched) -> tuple[Soaked, list[Look]]:
    soaked, looks = Soaked(), list[Look]()
    asking = asyncio.create_task(soak(server.port, REQUESTS, soaked))
    while not asking.done():
        looks.append(await asyncio.to_thread(_look, server, soaked.total))
        if len(looks) % 40 == 0:
            seen = looks[-1]
            print(
                f"{seen.requests:,} of {REQUESTS:,} requests, {seen.memory_bytes / MIB:.1f} MiB, {seen.files} files, "
                f"{seen.threads} threads, {soaked.wrong.total()} wrong",
                file=sys.stderr,
                flush=True,
            )
        await asyncio.wait([asking], timeout=LOOK_EVERY_S)
    await asking
    looks.append(await asyncio.to_thread(_look, server, soaked.total))
    return soaked, looks


def _look(server: Watched, requests: int) -> Look:
    memory = files = threads = 0
    for process in server.tree():
        try:
            files, threads = files + process.num_fds(), threads + process.num_threads()
        except psutil.NoSuchProcess:
            continue
        memory += memory_of(process.pid).get("Pss", 0)
    return Look(requests, memory, files, threads)


def _swaps(server: Watched) -> int:
    """Return the number of the promotion in service: they are counted from 1."""
    text = httpx.get(f"http://127.0.0.1:{server.port}/metrics").text
    lines = [line for line in text.splitlines() if line.startswith("labelstream_promotion{")]
    return int(float(lines[0].split()[-1])) if lines else 0
