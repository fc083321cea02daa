"""Real trainings in real subprocesses, small enough to take seconds."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from labelstream_yolo.architecture import read_architecture
from trainer.engine.contract import CHECKPOINT, PROGRESS, Progress, TrainingSpec
from trainer.engine.process import EngineCancelledError, EngineFailedError, run_training

# Writes down every look-up and connection beyond this machine, and lets none through.
GUARD = """
import os, sys
def guard(event, arguments):
    if event == "socket.getaddrinfo":
        host = str(arguments[0])
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        host = str(arguments[1][0])
    else:
        return
    if host not in ("127.0.0.1", "::1", "localhost"):
        with open(os.environ["GUARD_LOG"], "a") as log:
            log.write(f"{event} {host}\\n")
        raise OSError("there is no network")
sys.addaudithook(guard)
"""


@pytest.fixture
def told():
    return []


@pytest.fixture
def on_progress(told):
    async def hear(progress: Progress) -> None:
        told.append(progress)

    return hear


@pytest.mark.slow
async def test_a_training_leaves_weights_metrics_and_an_architecture_without_network_or_pickle(
    scenes, tiny, tmp_path, monkeypatch, told, on_progress
):
    (tmp_path / "sitecustomize.py").write_text(GUARD)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("GUARD_LOG", str(tmp_path / "network.log"))
    out = tmp_path / "out"

    result = await run_training(TrainingSpec(data=scenes, recipe=tiny, out_dir=out), on_progress, asyncio.Event())

    assert [(p.epoch, p.epochs) for p in told] == [(1, 2), (2, 2)]
    assert told[-1].eta_s == 0
    assert told[1].losses["box_loss"] < told[0].losses["box_loss"]
    assert (result.validation.images, result.test.images) == (12, 12)
    assert result.epochs == 2
    best = max(told, key=lambda p: p.map50_95)
    assert result.validation.map50_95 == pytest.approx(best.map50_95, abs=1e-4)
    architecture = read_architecture(result.architecture)
    assert (architecture.names, architecture.image_size) == (("disc", "bar"), tiny.image_size)
    assert {str(tensor.dtype) for tensor in load_file(result.weights).values()} <= {"float32", "int64"}
    assert not (tmp_path / "network.log").exists()
    assert [p.parent.parent for p in out.rglob("*.pt")] == [out / "run"] * len(list(out.rglob("*.pt")))


@pytest.mark.slow
async def test_a_killed_training_goes_on_from_its_checkpoint(scenes, tiny, tmp_path, told, on_progress):
    recipe = tiny.model_copy(update={"epochs": 3})
    spec = TrainingSpec(data=scenes, recipe=recipe, out_dir=tmp_path)

    async def kill_after_the_first(progress: Progress) -> None:
        await on_progress(progress)
        os.kill(_engine_of(tmp_path), signal.SIGKILL)

    with pytest.raises(EngineFailedError, match="engine-died"):
        await run_training(spec, kill_after_the_first, asyncio.Event())
    before = len(told)
    result = await run_training(spec, on_progress, asyncio.Event())

    assert 1 <= before < 3
    assert [p.epoch for p in told] == [1, 2, 3]
    assert result.epochs == 3

    await run_training(spec, on_progress, asyncio.Event())  # asked again, it only evaluates
    assert len(told) == 3


@pytest.mark.slow
async def test_a_damaged_checkpoint_is_trained_over(scenes, tiny, tmp_path, told, on_progress):
    recipe = tiny.model_copy(update={"epochs": 1})
    spec = TrainingSpec(data=scenes, recipe=recipe, out_dir=tmp_path)
    await run_training(spec, on_progress, asyncio.Event())
    checkpoint = tmp_path / CHECKPOINT
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    (tmp_path / "run" / "complete").unlink()

    await run_training(spec, on_progress, asyncio.Event())

    assert [p.epoch for p in told] == [1, 1]


@pytest.mark.slow
async def test_cancelling_ends_a_training_at_once_and_leaves_no_result(scenes, tiny, tmp_path):
    recipe = tiny.model_copy(update={"epochs": 1000})
    cancelled = asyncio.Event()

    async def cancel(_: Progress) -> None:
        cancelled.set()

    with pytest.raises(EngineCancelledError):
        await run_training(TrainingSpec(data=scenes, recipe=recipe, out_dir=tmp_path), cancel, cancelled)

    assert not (tmp_path / "result.json").exists()
    assert not (tmp_path / "failure.json").exists()
    assert len((tmp_path / PROGRESS).read_text().splitlines()) < 1000


async def test_a_split_without_images_is_refused_by_name(scenes, tiny, tmp_path, on_progress):
    folder = tmp_path / "data"
    shutil.copytree(scenes, folder)
    shutil.rmtree(folder / "test" / "images")
    with pytest.raises(EngineFailedError, match=r"dataset-empty: .*test/images"):
        await run_training(TrainingSpec(data=folder, recipe=tiny, out_dir=tmp_path), on_progress, asyncio.Event())


async def test_a_network_of_unknown_layers_is_refused_by_name(scenes, tiny, tmp_path, on_progress):
    network = {"backbone": [[-1, 1, "Convolution", [8, 3, 2]]], "head": [[[-1], 1, "Detect", ["nc"]]]}
    recipe = tiny.model_copy(update={"architecture": network})
    with pytest.raises(EngineFailedError, match=r"recipe-wrong: .*'Convolution'"):
        await run_training(TrainingSpec(data=scenes, recipe=recipe, out_dir=tmp_path), on_progress, asyncio.Event())
    assert json.loads((tmp_path / "failure.json").read_text())["rule"] == "recipe-wrong"


def test_the_service_itself_imports_no_torch():
    code = "import sys, trainer.engine.process; sys.exit('torch' in sys.modules or 'ultralytics' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def _engine_of(out: Path) -> int:
    """Find the engine that works in `out` among this process's children."""
    me = os.getpid()
    for line in Path(f"/proc/{me}/task/{me}/children").read_text().split():
        if str(out).encode() in Path(f"/proc/{line}/cmdline").read_bytes():
            return int(line)
    raise LookupError(f"no engine works in {out}")
