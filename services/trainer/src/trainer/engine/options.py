"""The recipe in ultralytics' words."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import torch
from ultralytics.nn.tasks import yaml_model_load

from labelstream.errors import Misconfigured
from trainer.engine.contract import Adjustments
from trainer.engine.plan import Plan
from trainer.engine.recovering import AUTO_BATCH, devices_in
from trainer.recipe import TrainingRecipe

_LONG = 10_000  # steps from which on `auto` takes MuSGD; ultralytics draws the line there, too
MEASURED = -1  # a batch that ultralytics finds out


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


def batch_to_begin_with(recipe: TrainingRecipe, adjustments: Adjustments, device: str, images: int) -> int:
    """Return the images in a step over all devices, or MEASURED on one accelerator that is to be filled."""
    if adjustments.batch is not None:
        return adjustments.batch
    devices = devices_in(device)
    if recipe.batch != "auto":
        return max(min(recipe.batch, images) // devices, 1) * devices
    if device.isdigit():
        return MEASURED
    return min(AUTO_BATCH, images) if device == "cpu" else AUTO_BATCH * devices


def optimizer_of(recipe: TrainingRecipe, images: int, classes: int) -> tuple[str, float]:
    """Return the optimizer and its highest rate.

    `auto` follows ultralytics' rule, but by the recipe's batch: one that was halved on the way changes no optimizer.
    """
    if recipe.optimizer != "auto":
        return recipe.optimizer, recipe.lr0
    batch = AUTO_BATCH if recipe.batch == "auto" else recipe.batch
    if math.ceil(images / batch) * recipe.epochs > _LONG:
        return "MuSGD", 0.01
    return "AdamW", round(0.002 * 5 / (4 + classes), 6)


def overrides_of(plan: Plan, run: Path) -> dict[str, Any]:
    """Return what ultralytics is to do otherwise than by default."""
    recipe, adjustments = plan.spec.recipe, plan.spec.adjustments
    optimizer, lr0 = optimizer_of(recipe, plan.train_images, len(plan.architecture.names))
    batch = batch_to_begin_with(recipe, adjustments, plan.spec.device, plan.train_images)
    return {
        "task": "detect",
        "model": "network.yaml",  # a name for the log: the network is given as data
        "data": str(plan.description),
        "save_dir": str(run),
        "exist_ok": True,
        "device": plan.spec.device,
        "amp": _precision(recipe, plan.spec.device),
        "workers": 0 if plan.spec.device == "cpu" else min(8, os.cpu_count() or 1),
        "pretrained": False,
        "plots": False,
        "imgsz": recipe.image_size,
        "epochs": recipe.epochs,
        "batch": batch,
        "nbs": batch,  # ultralytics' nominal 64 would gather gradients and starve a small training of steps
        "optimizer": optimizer,
        "lr0": lr0 * adjustments.learning_rate_scale,
        "lrf": recipe.lrf,
        "momentum": recipe.momentum,
        "weight_decay": recipe.weight_decay,
        "warmup_epochs": recipe.warmup_epochs,
        "warmup_bias_lr": 0.0,
        "cos_lr": recipe.cosine,
        "patience": recipe.patience,
        "seed": recipe.seed,
        "freeze": recipe.freeze or None,
        "cache": "ram" if recipe.cache_images else False,
        "erasing": 0.0,
        **recipe.on_the_fly.model_dump(exclude={"albumentations"}),
    }


def _precision(recipe: TrainingRecipe, device: str) -> str | bool:
    if device == "cpu" or recipe.amp == "off":
        return False
    if recipe.amp == "auto":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    return recipe.amp
