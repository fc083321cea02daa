"""Several devices: here two processes on the CPU, because no two accelerators are at hand."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from trainer.engine import best, checkpoints
from trainer.engine.contract import Progress, TrainingSpec
from trainer.engine.process import EngineCancelledError


@pytest.mark.slow
async def test_processes_that_train_together_recover_tell_and_end_as_one(scenes, tiny, tmp_path, monkeypatch, listener):
    """One of two has no memory for its half of the batch; then somebody asks for the end."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "faults"))
    on_progress = listener.on_progress

    async def cancel(progress: Progress) -> None:
        await on_progress(progress)
        listener.cancelled.set()

    listener.on_progress = cancel
    spec = TrainingSpec(data=scenes, recipe=tiny, out_dir=tmp_path, device="0,1")
    with pytest.raises(EngineCancelledError):
        await listener.train(spec, "cpu_ranks")

    assert [(r.rule, r.batch, r.reason) for r in listener.recoveries] == [
        ("out-of-memory", 4, "CUDA out of memory in one of two")
    ]
    assert [(p.epoch, p.batch) for p in listener.epochs] == [(1, 4)]
    assert checkpoints.standing(tmp_path) is not None
    assert best.kept(tmp_path) is not None
    async with asyncio.timeout(60):
        while _processes_in(tmp_path):  # noqa: ASYNC110  # they are not our children, and end in their own time
            await asyncio.sleep(0.1)


def _processes_in(folder: Path) -> list[Path]:
    return [path for path in Path("/proc").glob("[0-9]*/cmdline") if _names(path, folder)]


def _names(cmdline: Path, folder: Path) -> bool:
    try:
        return str(folder).encode() in cmdline.read_bytes()
    except OSError:  # it ended meanwhile
        return False
