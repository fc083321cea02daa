"""The training itself: ultralytics' trainer, reporting each epoch and keeping the best weights without pickle."""

from __future__ import annotations

import os
import pickle
import time
import zipfile
from pathlib import Path
from typing import Any

import torch
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.nn.tasks import yaml_model_load

from labelstream.errors import Misconfigured
from labelstream.events.training import Metrics
from labelstream.values import Value
from labelstream_yolo.architecture import Architecture
from labelstream_yolo.weights import build_model, read_metadata, save_weights
from trainer.engine.contract import CHECKPOINT, PROGRESS, Progress
from trainer.engine.evaluation import device, metrics_of
from trainer.recipe import TrainingRecipe

HEADER = "labelstream"  # where the best weights say what they are


class Best(Value):
    """What the best weights say of themselves."""

    epoch: int
    validation: Metrics


class Training(DetectionTrainer):  # type: ignore[misc]  # ultralytics is untyped
    """One training in one folder."""

    def __init__(self, overrides: dict[str, Any], network: Architecture, recipe: TrainingRecipe, out: Path) -> None:
        super().__init__(overrides=overrides)
        self.network = network
        self.recipe = recipe
        self.out = out
        self.began = time.monotonic()
        self.epoch_began = self.began
        self.images_per_s = 0.0
        self.add_callback("on_train_start", lambda _: torch.set_num_threads(recipe.threads))
        self.add_callback("on_train_epoch_start", Training._epoch_begins)
        self.add_callback("on_train_epoch_end", Training._epoch_trained)
        self.add_callback("on_fit_epoch_end", Training._report)

    def get_model(self, cfg: Any = None, weights: Any = None, verbose: bool = True) -> Any:  # noqa: ARG002  # the signature is ultralytics'
        """Build the network of the recipe, with a checkpoint's weights when the training goes on."""
        model = build_model(self.network)
        if weights is not None:
            model.load(weights)
        return model.to(memory_format=torch.channels_last)  # a quarter faster on CPUs, and what tensor cores want

    def save_model(self) -> bool:
        """Keep the best weights and the checkpoint, each whole or not at all, the weights first."""
        checkpoint = self.out / CHECKPOINT
        self.last = checkpoint.with_suffix(".unfinished")
        super().save_model()
        if self.best_fitness == self.fitness:
            best = Best(epoch=self.epoch + 1, validation=metrics_of(self.validator))
            save_weights(self.ema.ema, best_weights(self.out), {HEADER: best.model_dump_json()})
        self.last.replace(checkpoint)
        self.last = checkpoint
        return True

    def final_eval(self) -> None:
        """Do nothing: the best weights were measured when they were kept."""

    def _epoch_begins(self) -> None:
        self.epoch_began = time.monotonic()

    def _epoch_trained(self) -> None:
        self.images_per_s = len(self.train_loader.dataset) / (time.monotonic() - self.epoch_began)

    def _report(self) -> None:
        epoch, seconds = self.epoch + 1, time.monotonic() - self.began
        left = 0 if self.stop else self.epochs - epoch
        progress = Progress(
            epoch=epoch,
            epochs=self.epochs,
            losses={name: round(float(loss), 5) for name, loss in self.tloss.items()},
            map50=self.metrics["metrics/mAP50(B)"],
            map50_95=self.metrics["metrics/mAP50-95(B)"],
            seconds=round(seconds, 2),
            eta_s=round(seconds / (epoch - self.start_epoch) * left, 1),
            images_per_s=round(self.images_per_s, 2),
        )
        with (self.out / PROGRESS).open("a") as report:
            report.write(progress.model_dump_json() + "\n")


def network_of(recipe: TrainingRecipe) -> dict[str, Any]:
    """Return the recipe's network as data.

    Raises Misconfigured when ultralytics has none of that name.
    """
    if recipe.network is not None:
        return dict(recipe.network)
    try:
        network: dict[str, Any] = yaml_model_load(f"{recipe.architecture}.yaml")
    except FileNotFoundError as error:
        raise Misconfigured(f"architecture = {recipe.architecture!r}: ultralytics has no such network") from error
    del network["yaml_file"]
    return network


def overrides_of(recipe: TrainingRecipe, description: Path, run: Path) -> dict[str, Any]:
    """Return the recipe in ultralytics' words."""
    on_cpu = device() == "cpu"
    return {
        "task": "detect",
        "model": "network.yaml",  # a name for the log: the network is given as data
        "data": str(description),
        "save_dir": str(run),
        "exist_ok": True,
        "device": device(),
        "amp": "bf16" if not on_cpu and torch.cuda.is_bf16_supported() else False,
        "workers": 0 if on_cpu else min(8, os.cpu_count() or 1),
        "pretrained": False,
        "plots": False,
        "imgsz": recipe.image_size,
        "epochs": recipe.epochs,
        "batch": recipe.batch,
        "nbs": recipe.batch,  # ultralytics' nominal 64 would gather gradients and starve a small training of steps
        "optimizer": recipe.optimizer,
        "lr0": recipe.lr0,
        "lrf": recipe.lrf,
        "momentum": recipe.momentum,
        "weight_decay": recipe.weight_decay,
        "warmup_epochs": recipe.warmup_epochs,
        "warmup_bias_lr": 0.0,
        "cos_lr": recipe.cosine,
        "patience": recipe.patience,
        "seed": recipe.seed,
        "cache": "ram" if recipe.cache_images else False,
        "erasing": 0.0,
        **recipe.on_the_fly.model_dump(),
    }


def best_weights(out: Path) -> Path:
    """Return where the best weights so far lie."""
    return out / "run" / "best.safetensors"


def read_best(out: Path) -> Best:
    """Return what the best weights say of themselves."""
    return Best.model_validate_json(read_metadata(best_weights(out))[HEADER])


def epochs_in(checkpoint: Path) -> int:
    """Return how many epochs a checkpoint holds; 0 when there is none or it is damaged.

    A checkpoint is read only from the folder that this training wrote itself.
    """
    if not checkpoint.exists() or not zipfile.is_zipfile(checkpoint):
        return 0
    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=False)
        return int(content["epoch"]) + 1
    except (RuntimeError, EOFError, KeyError, pickle.UnpicklingError, zipfile.BadZipFile):
        return 0
