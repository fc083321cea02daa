"""What a replica leaves for its next start, on a disk that may take nothing, and whatever comes in between."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from inference.serving.adapters.shelf import DiskShelf
from inference.serving.handler import Activator
from inference.serving.keeping import Keeping
from inference.serving.patience import Patience
from inference.serving.standing import Standing
from labelstream.service.health import Health

from .test_probation import Bench


def shelf_of(world: Any) -> Path:
    return Path(world.directory) / "state" / "models" / "default"


@contextmanager
def refused(*paths: Path) -> Iterator[None]:
    """A disk that refuses to write files: something else lies in their places."""
    for path in paths:
        path.mkdir(parents=True)
    yield
    for path in paths:
        shutil.rmtree(path)


async def on_probation(world: Any) -> None:
    """Leave m2 on the shelf, with m1 behind it."""
    await world.promote("m1", 1)
    async with world.replica():
        await world.heard()
        await world.promote("m2", 2)
        assert (await world.heard()).model == "m2"


async def test_a_disk_that_takes_no_new_model_is_waited_for_while_the_old_one_serves(world, red_picture) -> None:
    await world.promote("m1", 1)
    async with world.replica() as client:
        await world.heard()
        (shelf_of(world) / "2").write_bytes(b"")
        await world.promote("m2", 2)
        await world.until(lambda: "disk" in world.health.report()["degraded"].get("model of default", ""))
        assert (await client.post("/v1/predict", content=red_picture)).json()["model"] == "m1"
        (shelf_of(world) / "2").unlink()
        assert (await world.heard()).model == "m2"


async def test_a_replica_starts_on_a_disk_that_takes_nothing(world, red_picture) -> None:
    await on_probation(world)
    shelf = shelf_of(world)
    with refused(shelf / "probation.json.partial", shelf / "highest.json.partial"):
        async with world.replica() as client:
            assert (await world.heard()).model == "m2"
            await world.until(lambda: "disk" in world.health.report()["degraded"])
            assert (await client.post("/v1/predict", content=red_picture)).json()["model"] == "m2"


async def test_being_told_to_stop_while_the_model_is_opened_is_no_death(world) -> None:
    await on_probation(world)

    def starts() -> int:
        return json.loads((shelf_of(world) / "probation.json").read_bytes())["starts"]

    for _ in range(3):
        async with world.replica():
            await asyncio.sleep(0)
            assert starts() == 1
        assert starts() == 0


async def test_a_model_that_goes_back_before_anybody_waits_for_its_end_is_told_of(tmp_path: Path) -> None:
    bench = Bench()
    bench.models.swap(bench.new, on_probation=True)
    bench.probation.begin(bench.new)
    for _ in range(3):  # while the shelf is written
        bench.probation.failed(bench.new, RuntimeError("no such kernel"))
    assert bench.models.current("p") is bench.old
    keeping = Keeping(Patience(), Standing(Health(), bench.models))
    parts = (bench.models, DiskShelf(tmp_path), None, None, bench.probation, keeping)
    reverted = await Activator(*parts, "r1").see_through("p")
    assert reverted is not None
    assert (reverted.model, reverted.rule, reverted.serving) == ("new", "probation.failed", "old")
    assert bench.probation.on_trial("p") is None
