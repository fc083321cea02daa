"""Every fourth frame of a 720p clip, in source frames a second: ours over HTTP, against ultralytics' stream predict.

Both run the same ONNX file in onnxruntime; ours also with fp32 of its choice and with the fastest proved precision.
Three rounds or more (ROUNDS=<n>), FRAMES=<n> for another length than 1,800; DATA=<folder> as for `serve`. First it is
checked on the clip's beginning that every frame has the same detections as ultralytics finds, in frame order.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.pairs import Spread
from benchmarks.serving.contestants import (
    OURS_FASTEST,
    OURS_FP32,
    OURS_THERE,
    PEERS_PYTHON,
    QUIET,
    fp32_of,
    in_runtime,
    ours,
)
from benchmarks.serving.model import FLOAT, Prepared, trained_model
from benchmarks.serving.rounds import run_json
from benchmarks.serving.server import Start, served
from benchmarks.serving.streamed import Found, Streamed, differences, send_video
from benchmarks.serving.verdicts import Verdict, verdict_table
from benchmarks.sheets import Sheets, sheet

FRAMES = int(os.environ.get("FRAMES", "1800"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))
CHECKED = 160  # frames whose detections are compared
EVERY = 4
PEER = "ultralytics stream predict"
WANTED = {OURS_THERE: None, OURS_FP32: 1.2, OURS_FASTEST: 1.8}


@dataclass(frozen=True)
class Lab:
    """The clip, and who goes through it."""

    prepared: Prepared
    folder: Path
    clip: Path

    def starts(self) -> dict[str, Start]:
        """Return our three settings."""
        return {
            OURS_THERE: ours(self.prepared, (FLOAT,), in_runtime("onnxruntime")),
            OURS_FP32: ours(self.prepared, fp32_of(self.prepared)),
            OURS_FASTEST: ours(self.prepared, ()),
        }

    async def ours(self, name: str, clip: Path) -> tuple[Streamed, int]:
        """Start our server and send a clip; return what came back, and the most memory that it took."""
        start = self.starts()[name]
        first = self.prepared.images[0].read_bytes()  # nothing else runs
        async with served(name, start, first, self.folder) as server, server.looked_at():
            streamed = await send_video(server.url.removesuffix(start.path), clip, EVERY)
            return streamed, server.pss_bytes

    async def peer(self, clip: Path, every: int, *, detections: bool = False) -> dict[str, Any]:
        """Let ultralytics go through a clip."""
        argv = (
            str(PEERS_PYTHON), "-m", "benchmarks.serving.peers.ultralytics_video", f"--graph={self.prepared.graph}",
            f"--video={clip}", f"--every={every}", *(["--detections"] if detections else []),
        )  # fmt: skip
        told = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "YOLO_CONFIG_DIR": str(self.folder / "yolo")}
        return await run_json(argv, {**told, **QUIET})


async def sheets(folder: Path) -> Sheets:
    """Prepare model and clip, compare detections, then measure in turn."""
    if not await asyncio.to_thread(PEERS_PYTHON.exists):
        raise SystemExit("The peers are not installed: `make bench NAME=video` does it.")
    prepared = await trained_model()
    lab = Lab(prepared, folder, await _clip(prepared, FRAMES))
    wrong = await _compared(lab)
    rates: dict[str, list[float]] = {}
    memory: dict[str, int] = {}
    for number in range(1, ROUNDS + 1):
        names = [*lab.starts(), PEER]
        for name in names if number % 2 else reversed(names):
            rate = await _measured(lab, name, memory)
            rates.setdefault(name, []).append(rate)
            _told(f"round {number} of {ROUNDS}, {name}: {rate:.0f} source frames/s")
    verdicts = _verdicts(rates)
    missed = [f"{each.what} is {each.ratio.median:.2f}" for each in verdicts if not each.met]
    title = f"{FRAMES} frames of 1280 × 720 in H.264, every 4th, {prepared.source}, medians of {ROUNDS} rounds"
    rows = [[name, f"{Spread.of(seen).median:.0f}", _memory(memory.get(name))] for name, seen in rates.items()]
    table = sheet(title, ["", "source frames/s", "MiB"], rows)
    data = {
        "pictures": prepared.source, "frames": FRAMES, "every": EVERY, "rates": rates, "pss_bytes": memory,
        "compared_frames": CHECKED // EVERY, "differences": wrong, "verdicts": [each.as_data() for each in verdicts],
    }  # fmt: skip
    return Sheets([table, verdict_table(verdicts)], data, (*wrong, *missed))


async def _measured(lab: Lab, name: str, memory: dict[str, int]) -> float:
    if name == PEER:
        seen = await lab.peer(lab.clip, EVERY)
        return FRAMES / float(seen["seconds"])
    streamed, pss = await lab.ours(name, lab.clip)
    if streamed.frames != tuple(range(0, FRAMES, EVERY)):
        raise SystemExit(f"{name}: frames came back out of order or not at all: {streamed.frames[:9]} …")
    memory[name] = max(memory.get(name, 0), pss)
    return FRAMES / streamed.seconds


async def _compared(lab: Lab) -> list[str]:
    """Compare the detections of the clip's beginning; return what differs by more than is allowed."""
    short = await _clip(lab.prepared, CHECKED)
    peer = await lab.peer(short, 1, detections=True)  # its stride begins at another frame
    theirs = [Found.of(rows) for rows in peer["detections"]][::EVERY]
    said = []
    for name in (OURS_THERE, OURS_FP32):
        streamed, _ = await lab.ours(name, short)
        frames = zip(streamed.frames, streamed.found, theirs, strict=True)
        said += [
            f"{name}, frame {number}: {each}" for number, mine, other in frames for each in differences(mine, other)
        ]
    boxes = sum(len(each.scores) for each in theirs)
    _told(f"{len(theirs)} frames with {boxes} boxes compared with ultralytics': {len(said)} differences")
    return said


def _verdicts(rates: Mapping[str, list[float]]) -> list[Verdict]:
    ratios = {
        name: Spread.of([mine / other for mine, other in zip(rates[name], rates[PEER], strict=True)]) for name in WANTED
    }
    return [
        Verdict(f"{name}: rate / ultralytics'", ratios[name], wanted, at_least=True)
        for name, wanted in WANTED.items()
        if wanted is not None
    ]


async def _clip(prepared: Prepared, frames: int) -> Path:
    """Return a clip of so many frames; draw it once."""
    path = prepared.folder / f"clip-{frames}.mp4"
    if not await asyncio.to_thread(path.exists):
        _told(f"drawing a clip of {frames} frames")
        told = (f"--images={prepared.images[0].parent}", f"--frames={frames}", f"--out={path}")
        argv = (str(PEERS_PYTHON), "-m", "benchmarks.serving.peers.clip", *told)
        process = await asyncio.create_subprocess_exec(*argv)
        if await process.wait():
            raise SystemExit("the clip could not be drawn")
    return path


def _memory(pss: int | None) -> str:
    return f"{pss / (1 << 20):,.0f}" if pss else ""


def _told(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
