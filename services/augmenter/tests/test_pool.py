"""Real worker processes: slow to start, so they are shared by few tests."""

from __future__ import annotations

import asyncio
import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from augmenter.adapters.pool import RenderPool
from augmenter.recipe import Recipe
from augmenter.render import render
from labelstream.errors import Rejected


async def test_one_worker_and_two_and_none_give_the_same_bytes_and_refuse_the_same(scene: Any, recipe: Recipe) -> None:
    scenes = [scene(n) for n in range(5)]
    expected = [[(m.image, m.shapes) for m in render(s.encoded, s.image, s.shapes, recipe)] for s in scenes]
    for workers in (1, 2):
        with RenderPool(workers) as pool:
            made = await asyncio.gather(*(pool.render(s.encoded, s.image, s.shapes, recipe) for s in scenes))
            with pytest.raises(Rejected, match=r"image\.unreadable"):
                await pool.render(b"no image", scenes[0].image, (), recipe)
        assert made == expected


async def test_a_worker_that_dies_or_never_ends_costs_its_own_image_alone(
    scene: Any, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    monkeypatch.setattr("augmenter.adapters.pool._render", importlib.import_module("misbehaving").render)
    drawn = scene(1)
    with RenderPool(1, timeout_s=0.5) as pool:
        results = await asyncio.gather(
            *(pool.render(encoded, drawn.image, drawn.shapes, recipe) for encoded in (b"die", b"slow", b"good")),
            return_exceptions=True,
        )
    rules = [result.rule if isinstance(result, Rejected) else result for result in results]
    assert rules == ["image.crash", "image.slow", [(b"good", drawn.shapes)]]


PARENT = """
import asyncio, multiprocessing, os, signal
from augmenter.adapters.pool import RenderPool
from augmenter.recipe import load_recipe
from labelstream.errors import Rejected
from labelstream.events.annotation import ImageRef

async def main():
    image = ImageRef(key="x", sha256="0" * 64, size_bytes=1, format="jpeg", width=1, height=1)
    pool = RenderPool(2)
    try:
        await pool.render(b"x", image, (), load_recipe("default"))
    except Rejected:
        pass
    print(*(child.pid for child in multiprocessing.active_children()), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    asyncio.run(main())
"""


async def test_workers_end_with_a_service_that_was_killed(tmp_path: Any) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    run = await asyncio.create_subprocess_exec(sys.executable, str(script), stdout=subprocess.PIPE)
    out, _ = await run.communicate()
    pids = [int(pid) for pid in out.split()]
    assert len(pids) >= 2
    async with asyncio.timeout(60):
        while any(_alive(pid) for pid in pids):  # noqa: ASYNC110  # other processes' ends
            await asyncio.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
