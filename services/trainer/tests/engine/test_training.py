"""Real trainings in real subprocesses, small enough to take seconds."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys

import pytest
from safetensors.numpy import load_file

from labelstream_yolo.architecture import read_architecture
from labelstream_yolo.scoring import values
from trainer.engine import best, checkpoints
from trainer.engine.contract import CHECKPOINT, CHECKPOINT_BEFORE, NetworkFiles, Progress, TrainingResult, TrainingSpec
from trainer.engine.process import EngineCancelledError, EngineFailedError
from trainer.recipe import TrainingRecipe

from .conftest import tiny_recipe
from .listening import Listener

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

# Nothing but tensors, numbers and text is in a checkpoint.
PLAIN = """
import io, sys
from pathlib import Path
import torch
from trainer.engine.checkpoints import state_of
torch.load(io.BytesIO(state_of(Path(sys.argv[1]))), weights_only=True)
"""


@pytest.fixture(scope="module")
async def learned(scenes, tmp_path_factory) -> tuple[TrainingSpec, TrainingResult, Listener]:
    """A training without network, which learned what the scenes show."""
    folder, listener = tmp_path_factory.mktemp("learned"), Listener()
    (folder / "sitecustomize.py").write_text(GUARD)
    spec = TrainingSpec(data=scenes, recipe=tiny_recipe(epochs=7, batch=4), out_dir=folder / "out")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        patch.setenv("GUARD_LOG", str(folder / "network.log"))
        return spec, await listener.train(spec), listener


@pytest.mark.slow
async def test_a_training_leaves_weights_metrics_and_an_architecture_without_network_or_pickle(learned):
    spec, result, listener = learned
    out, recipe, told = spec.out_dir, spec.recipe, listener.epochs
    assert [(p.epoch, p.epochs, p.batch) for p in told] == [(epoch, 7, 4) for epoch in range(1, 8)]
    assert told[-1].eta_s == 0
    assert told[-1].losses["box_loss"] < told[1].losses["box_loss"] < told[0].losses["box_loss"]
    assert all(p.memory_bytes > 100e6 and p.images_per_s > 0 and 0 < p.learning_rate < recipe.lr0 for p in told)
    assert (result.validation.images, result.test.images) == (12, 12)
    assert (result.epochs, result.history, result.recoveries, result.device) == (7, tuple(told), (), "CPU")
    best = max(told, key=lambda p: p.map50_95)
    assert result.validation.map50_95 == pytest.approx(best.map50_95, abs=1e-4)
    assert values.Tested.model_validate_json(result.tested.read_bytes()).model.score.images == 12
    architecture = read_architecture(result.architecture)
    assert (architecture.names, architecture.image_size) == (("disc", "bar"), recipe.image_size)
    assert {str(tensor.dtype) for tensor in load_file(result.weights).values()} <= {"float32", "int64"}
    assert not (out.parent / "network.log").exists()
    assert {path.name for path in out.rglob("*.pt")} == {CHECKPOINT, CHECKPOINT_BEFORE}
    opened = await asyncio.create_subprocess_exec(sys.executable, "-c", PLAIN, str(out / CHECKPOINT))
    assert await opened.wait() == 0

    again = Listener()
    assert (await again.train(spec)).weights == result.weights
    assert again.epochs == told  # asked again, it only evaluates, and tells what there is to tell


@pytest.mark.slow
async def test_a_training_stops_when_its_patience_is_over(learned, scenes, tmp_path, listener):
    """It begins with weights that know the scenes, at a rate that teaches nothing: no epoch is much better."""
    _, known, _ = learned
    recipe = tiny_recipe(epochs=50, patience=2, lr0=1e-9)
    initial = NetworkFiles(id="learned", weights=known.weights, architecture=known.architecture)

    result = await listener.train(TrainingSpec(data=scenes, recipe=recipe, out_dir=tmp_path / "out", initial=initial))

    assert 3 <= result.epochs < 50
    assert known.test.map50 > 0.3
    begun_at = listener.epochs[0].map50
    assert begun_at == pytest.approx(known.validation.map50, abs=0.1)  # it began where the other ended
    assert listener.epochs[-1].eta_s == 0


@pytest.mark.slow
async def test_cancelling_ends_a_training_at_once_and_keeps_the_best_weights(scenes, tiny, tmp_path, listener):
    recipe = tiny.model_copy(update={"epochs": 1000})
    on_progress = listener.on_progress

    async def cancel_in_the_second(progress: Progress) -> None:
        await on_progress(progress)
        if progress.epoch == 2:
            listener.cancelled.set()

    listener.on_progress = cancel_in_the_second
    with pytest.raises(EngineCancelledError):
        await listener.train(TrainingSpec(data=scenes, recipe=recipe, out_dir=tmp_path))

    assert not (tmp_path / "result.json").exists()
    assert not (tmp_path / "failure.json").exists()
    assert listener.recoveries == []
    kept, head = best.kept(tmp_path), checkpoints.standing(tmp_path)
    assert kept is not None
    assert head is not None
    assert 2 <= head.epoch < 1000
    assert kept.validation.images == 12
    assert read_architecture(kept.architecture).names == ("disc", "bar")
    assert load_file(kept.weights)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["yolo11n", "yolo26n"])
async def test_the_networks_of_ultralytics_are_trained_by_their_names(scenes, tiny, tmp_path, listener, architecture):
    changes = {"architecture": architecture, "image_size": 64, "epochs": 1, "batch": "auto", "optimizer": "auto"}
    recipe = TrainingRecipe.model_validate(tiny.model_dump() | changes)
    result = await listener.train(TrainingSpec(data=scenes, recipe=recipe, out_dir=tmp_path))
    assert listener.epochs[0].batch == 16
    assert read_architecture(result.architecture).model["scale"] == "n"
    assert (result.test.images, result.best_epoch) == (12, 1)


async def test_a_split_without_images_is_refused_by_name(scenes, tiny, tmp_path, listener):
    folder = tmp_path / "data"
    shutil.copytree(scenes, folder)
    shutil.rmtree(folder / "test" / "images")
    with pytest.raises(EngineFailedError, match=r"dataset-empty: .*test/images"):
        await listener.train(TrainingSpec(data=folder, recipe=tiny, out_dir=tmp_path))


async def test_a_network_of_unknown_layers_is_refused_by_name(scenes, tiny, tmp_path, listener):
    network = {"backbone": [[-1, 1, "Convolution", [8, 3, 2]]], "head": [[[-1], 1, "Detect", ["nc"]]]}
    recipe = tiny.model_copy(update={"architecture": network})
    with pytest.raises(EngineFailedError, match=r"recipe-wrong: .*'Convolution'"):
        await listener.train(TrainingSpec(data=scenes, recipe=recipe, out_dir=tmp_path))
    assert json.loads((tmp_path / "failure.json").read_text())["rule"] == "recipe-wrong"


async def test_a_device_that_this_machine_lacks_is_refused_by_name(scenes, tiny, tmp_path, listener):
    with pytest.raises(EngineFailedError, match=r"device-missing: device = '7,8': this machine has \d+ accelerators"):
        await listener.train(TrainingSpec(data=scenes, recipe=tiny, out_dir=tmp_path, device="7,8"))


def test_the_service_itself_imports_no_torch():
    code = "import sys, trainer.engine.process, trainer.engine.best; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
