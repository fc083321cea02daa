"""Serves a replica and throws every file of a folder at it, with good images beside; prints what became of each."""

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


def world_of(directory: Path):
    """Return the small world of the tests."""
    spec = importlib.util.spec_from_file_location("world", CONFTEST)
    module = sys.modules["world"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.World(directory), module.picture((1, 4, module.RED))


class Peak:
    """The most memory that this process has had since it was asked for."""

    def __init__(self) -> None:
        self._process, self._going, self.most = psutil.Process(), True, 0
        self.base = self._process.memory_info().rss
        self._watch = threading.Thread(target=self._look)
        self._watch.start()

    def _look(self) -> None:
        beat = threading.Event()
        while self._going:
            self.most = max(self.most, self._process.memory_info().rss)
            beat.wait(0.002)

    def grown_mb(self) -> float:
        """Stop looking, and tell."""
        self._going = False
        self._watch.join()
        return (self.most - self.base) / 2**20


async def main(files: dict[str, bytes], directory: Path) -> dict:
    world, good = world_of(directory)
    await world.promote("m1", 1)
    bombs, beside = {}, []
    async with world.replica() as client:
        await world.heard()
        for _ in range(20):
            await client.post("/v1/predict", content=good)
        for name, content in files.items():
            peak = Peak()
            asked = [client.post("/v1/predict", content=each) for each in (content, good, good)]
            answer, *others = await asyncio.gather(*asked)
            bombs[name] = (answer.status_code, answer.json().get("rule"), peak.grown_mb())
            beside += [each.status_code for each in others]
    return {"bombs": bombs, "beside": beside}


if __name__ == "__main__":
    found = {path.name: path.read_bytes() for path in sorted(Path(sys.argv[1]).iterdir())}
    with TemporaryDirectory() as directory:
        told = asyncio.run(main(found, Path(directory)))
    sys.stdout.write(json.dumps(told) + "\n")
