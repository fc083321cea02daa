"""100 swaps of the smallest model under load, against the same load without swaps: latencies, and failed requests.

SWAPS=<n> makes another number of them. A whole replica of inference, with a broker and a store in memory, is asked by
8 connections without a pause. Segments with swaps and segments without one take turns; a request counts as during a
swap when it and the time from the promotion to the first answer of the new model overlap.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.serving.cells import cells
from benchmarks.serving.connection import Reply
from benchmarks.serving.load import Aim, Ran, closed_loop, finds_something, percentile
from benchmarks.serving.server import Start, Watched, served
from benchmarks.sheets import Sheets, sheet

SWAPS = int(os.environ.get("SWAPS", "100"))
IN_SEGMENT = 10  # swaps
CONCURRENCY = 8
EVERY_S = 1.0  # a swap begins
WARM_UP_S = 1.0
MOST_PAIRS = 3 * SWAPS // IN_SEGMENT + 1  # of segments
MOST_DURING, MOST_OUTSIDE = 2.0, 1.2  # times the p99 without swaps
WITHOUT, OUTSIDE, DURING = "without swaps", "between swaps", "during a swap"


@dataclass
class Seen:
    """What the answers said."""

    promotion: int = 1  # the highest that answered
    told: int = 1  # the highest that there is
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def check(self, reply: Reply) -> str | None:
        """Say what is wrong with a reply; note which promotion answered."""
        wrong = finds_something(reply)
        if wrong is None:
            number = json.loads(reply.body)["promotion"]
            if number > self.promotion:
                self.promotion = number
                self.changed.set()
        return wrong


@dataclass
class Measured:
    """What all segments showed."""

    latencies: dict[str, list[float]] = field(default_factory=lambda: {WITHOUT: [], OUTSIDE: [], DURING: []})
    p99: dict[str, list[float]] = field(default_factory=lambda: {WITHOUT: [], OUTSIDE: [], DURING: []})  # by segment
    wrong: list[str] = field(default_factory=list)
    swaps_s: list[float] = field(default_factory=list)

    def take(self, kind: str, latencies: Iterable[float]) -> None:
        """Add what a segment showed."""
        ordered = sorted(latencies)
        if ordered:
            self.latencies[kind] += ordered
            self.p99[kind].append(percentile(ordered, 0.99))

    def at(self, kind: str, share: float) -> float:
        """Return a percentile in seconds."""
        return percentile(sorted(self.latencies[kind]), share)


async def sheets(folder: Path) -> Sheets:
    """Start the replica and measure."""
    argv = (sys.executable, "-m", "benchmarks.serving.replica", "--port", "{port}", "--folder", str(folder))
    start = Start((*argv, "--swap-every", "0"), path="/v1/predict")
    measured, seen = Measured(), Seen()
    async with served("swap", start, cells(), folder) as server:
        aim = Aim.of(server.url)
        for number in range(MOST_PAIRS):
            for swaps in (False, True) if number % 2 else (True, False):
                await _segment(server, aim, measured, seen, IN_SEGMENT if swaps else 0)
            print(f"{len(measured.swaps_s)} of {SWAPS} swaps", file=sys.stderr, flush=True)
            if len(measured.swaps_s) >= SWAPS:
                break
        else:
            raise SystemExit("swaps take too long here: too much else runs on this machine")
    return _shown(measured)


async def _segment(server: Watched, aim: Aim, measured: Measured, seen: Seen, swaps: int) -> None:
    """Ask for as long as ten swaps take, with swaps or without."""
    seconds = (IN_SEGMENT + 0.5) * EVERY_S
    began = time.perf_counter() + WARM_UP_S
    loading = asyncio.create_task(closed_loop(aim, [cells()], CONCURRENCY, seconds, WARM_UP_S, seen.check))
    await asyncio.sleep(WARM_UP_S)
    spans = []
    for turn in range(swaps):
        span = await _swap(server, seen, began + turn * EVERY_S, loading)
        spans += [span] if span else []
    ran = await loading
    measured.wrong += ran.wrong.elements()
    measured.swaps_s += [end - begin for begin, end in spans]
    requests = [(began + ended - latency, began + ended, latency) for ended, latency, _ in ran.finished]
    inside = [any(asked < end and answered > begin for begin, end in spans) for asked, answered, _ in requests]
    if not swaps:
        measured.take(WITHOUT, (latency for _, _, latency in requests))
        return
    measured.take(DURING, (latency for (_, _, latency), is_in in zip(requests, inside, strict=True) if is_in))
    measured.take(OUTSIDE, (latency for (_, _, latency), is_in in zip(requests, inside, strict=True) if not is_in))


async def _swap(server: Watched, seen: Seen, at: float, loading: asyncio.Task[Ran]) -> tuple[float, float] | None:
    """Let a model be promoted at a time; return when it was and when it first answered; None: not under this load."""
    await asyncio.sleep(max(0.0, at - time.perf_counter()))
    if loading.done():
        return None
    begun = time.perf_counter()
    os.kill(server.root.pid, signal.SIGUSR1)
    seen.told += 1
    while seen.promotion < seen.told:
        seen.changed.clear()
        changed = asyncio.create_task(seen.changed.wait())
        await asyncio.wait((changed, loading), return_when=asyncio.FIRST_COMPLETED)
        changed.cancel()
        if loading.done():
            return None
    return begun, time.perf_counter()


def _shown(measured: Measured) -> Sheets:
    limits = {DURING: MOST_DURING, OUTSIDE: MOST_OUTSIDE}
    base = measured.at(WITHOUT, 0.99)
    ratios = {kind: measured.at(kind, 0.99) / base for kind in limits}
    rows = [
        [
            kind,
            f"{len(latencies):,}",
            *(f"{measured.at(kind, share) * 1000:.1f}" for share in (0.5, 0.99, 1.0)),
            f"{ratios[kind]:.2f}" if kind in ratios else "",
            f"{limits[kind]:.1f}" if kind in limits else "",
            _spread(measured.p99[kind]),
        ]
        for kind, latencies in measured.latencies.items()
    ]
    title = (
        f"{len(measured.swaps_s)} swaps, {statistics.median(measured.swaps_s) * 1000:.0f} ms each "
        f"(at most {max(measured.swaps_s) * 1000:.0f}), {CONCURRENCY} connections, {len(measured.wrong)} failed"
    )
    headings = ["requests", "count", "p50 ms", "p99 ms", "most ms", "p99 to without", "at most", "p99 of a segment"]
    failed = [f"a request failed: {wrong}" for wrong in measured.wrong[:5]]
    failed += [
        f"{kind}, p99 is {ratio:.2f} times that without" for kind, ratio in ratios.items() if ratio > limits[kind]
    ]
    data = {
        "swaps": len(measured.swaps_s),
        "swap_ms": statistics.median(measured.swaps_s) * 1000,
        "failed_requests": len(measured.wrong),
        "requests": {kind: len(latencies) for kind, latencies in measured.latencies.items()},
        "p50_ms": {kind: measured.at(kind, 0.5) * 1000 for kind in measured.latencies},
        "p99_ms": {kind: measured.at(kind, 0.99) * 1000 for kind in measured.latencies},
        "p99_to_without": ratios,
    }
    return Sheets([sheet(title, headings, rows)], data, tuple(failed))


def _spread(values: Sequence[float]) -> str:
    return f"{min(values) * 1000:.1f} … {max(values) * 1000:.1f}" if values else ""
