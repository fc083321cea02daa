"""A training from the folder to the weights and their metrics."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import torch

from labelstream.errors import Misconfigured
from labelstream.values import digest_of
from labelstream_yolo.architecture import Architecture
from labelstream_yolo.engine import EngineFailure
from labelstream_yolo.offline import versions
from labelstream_yolo.weights import check_layers, load_model
from trainer.engine.contract import ARCHITECTURE, CHECKPOINT, WEIGHTS, TrainingResult, TrainingSpec
from trainer.engine.evaluation import evaluate
from trainer.engine.folder import Folder, open_folder
from trainer.engine.training import (
    Training,
    best_weights,
    epochs_in,
    network_of,
    overrides_of,
    read_best,
)


def train(spec: TrainingSpec) -> TrainingResult:
    """Train, choose the best epoch on validation, evaluate it once on test, leave weights and architecture.

    Raises EngineFailure.
    """
    began = time.monotonic()
    folder = open_folder(spec.data)
    architecture = _architecture(spec, folder)
    run = _run_folder(spec, folder)
    description = folder.write_description(run / "data.yaml")
    epochs = _fit(spec, architecture, description)
    best = read_best(spec.out_dir)
    weights = spec.out_dir / WEIGHTS
    shutil.copyfile(best_weights(spec.out_dir), weights)
    (spec.out_dir / ARCHITECTURE).write_text(architecture.model_dump_json(indent=1))
    test = evaluate(load_model(weights, architecture), description, "test", spec.recipe, run / "test")
    return TrainingResult(
        best_epoch=best.epoch,
        epochs=epochs,
        validation=best.validation,
        test=test,
        weights=weights,
        architecture=spec.out_dir / ARCHITECTURE,
        versions=architecture.versions,
        seconds=round(time.monotonic() - began, 2),
    )


def _architecture(spec: TrainingSpec, folder: Folder) -> Architecture:
    try:
        network = network_of(spec.recipe)
        check_layers(network)
    except (Misconfigured, ValueError) as error:
        raise EngineFailure("recipe-wrong", str(error)) from error
    return Architecture(
        model=network, image_size=spec.recipe.image_size, names=folder.names, versions=versions("labelstream-yolo")
    )


def _run_folder(spec: TrainingSpec, folder: Folder) -> Path:
    """Return the folder of the run, emptied unless what lies there is this training and may go on."""
    run = spec.out_dir / "run"
    identity = run / "identity"
    digest = digest_of([spec.recipe.digest, folder.digest])
    if not (spec.resume and identity.exists() and identity.read_text() == digest):
        shutil.rmtree(run, ignore_errors=True)
        run.mkdir(parents=True)
        identity.write_text(digest)
    return run


def _fit(spec: TrainingSpec, architecture: Architecture, description: Path) -> int:
    """Train what is still to be trained; return the number of epochs that the weights have seen chosen from."""
    run, checkpoint = spec.out_dir / "run", spec.out_dir / CHECKPOINT
    complete = run / "complete"  # written when the last epoch is over, which patience may decide
    behind = epochs_in(checkpoint) if best_weights(spec.out_dir).exists() else 0
    if complete.exists() or behind >= spec.recipe.epochs:
        return behind
    overrides = overrides_of(spec.recipe, description, run)
    if behind:
        overrides["resume"] = str(checkpoint)
    try:
        Training(overrides, architecture, spec.recipe, spec.out_dir).train()
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise EngineFailure("out-of-memory", f"batch {spec.recipe.batch} does not fit: {error}") from error
    complete.touch()
    return epochs_in(checkpoint)
