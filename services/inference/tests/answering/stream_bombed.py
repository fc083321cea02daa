"""Serves a replica and throws every zip and video of a folder at it, with good images beside; prints what became of it.

A file's name begins with the address that it goes to: `batch-…` or `video-…`.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

CONFTEST = Path(__file__).parents[1] / "conftest.py"
PATHS = {"batch": "/v1/predict/batch", "video": "/v1/video"}


def world_of(directory: Path):
    """Return the small world of the tests, and a good image."""
    spec = importlib.util.spec_from_file_location("world", CONFTEST)
    module = sys.modules["world"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.World(directory), module.picture((1, 4, module.RED))


class Peak:
    """The most memory of their own that this process and its children have had together since it was asked for."""

    def __init__(self) -> None:
        self._going, self.base = True, _own_bytes()
        self.most = self.base
        self._watch = threading.Thread(target=self._look)
        self._watch.start()

    def _look(self) -> None:
        beat = threading.Event()
        while self._going:
            self.most = max(self.most, _own_bytes())
            beat.wait(0.01)

    def grown_mb(self) -> float:
        """Stop looking, and tell."""
        self._going = False
        self._watch.join()
        return (self.most - self.base) / 2**20


def _own_bytes() -> int:
    total, mine = 0, psutil.Process()
    for process in (mine, *mine.children(recursive=True)):
        try:
            total += process.memory_full_info().uss
        except psutil.Error:
            continue
    return total


def _rule(answer) -> str | None:
    """Return the rule of the first problem in an answer."""
    told = [json.loads(line) for line in answer.text.splitlines()]
    if answer.status_code != 200:
        return told[0]["rule"]
    return next((line["problem"]["rule"] for line in told if "problem" in line), None)


async def main(bombs: dict[str, bytes], directory: Path) -> dict:
    world, good = world_of(directory)
    await world.promote("m1", 1)
    told, beside = {}, []
    async with world.replica(max_video_frames=20_000) as client:
        await world.heard()
        for _ in range(20):
            await client.post("/v1/predict", content=good)
        for name, content in bombs.items():
            peak = Peak()
            asked = [client.post("/v1/predict", content=good) for _ in range(2)]
            path = PATHS[name.split("-")[0]]
            answer, *others = await asyncio.gather(client.post(path, content=content), *asked)
            told[name] = (answer.status_code, _rule(answer), peak.grown_mb())
            beside += [each.status_code for each in others]
    return {"bombs": told, "beside": beside}


if __name__ == "__main__":
    files = {path.name: path.read_bytes() for path in sorted(Path(sys.argv[1]).iterdir())}
    with TemporaryDirectory() as place:
        told = asyncio.run(main(files, Path(place)))
        told["left"] = len(list(Path(place).glob("state/uploads/*")))
    sys.stdout.write("\n" + json.dumps(told))
