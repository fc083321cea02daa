"""The metrics of a detector on a split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from ultralytics.models.yolo.detect import DetectionValidator

from labelstream.events.training import Metrics
from labelstream.values import Split
from trainer.recipe import TrainingRecipe


def evaluate(model: Any, description: Path, split: Split, recipe: TrainingRecipe, folder: Path) -> Metrics:
    """Measure `model` on a split, on squares as it will be served; the model is fused by it."""
    validator = DetectionValidator(
        save_dir=folder,
        args={
            "task": "detect",
            "mode": "val",
            "data": str(description),
            "split": split,
            "imgsz": recipe.image_size,
            "batch": recipe.batch,
            "device": device(),
            "rect": False,
            "plots": False,
            "verbose": False,
        },
    )
    # choosing the device sets the number of threads, so it is set again once that is done
    validator.callbacks["on_val_start"].append(lambda _: torch.set_num_threads(recipe.threads))
    validator(model=model)
    return metrics_of(validator)


def metrics_of(validator: Any) -> Metrics:
    """Return what a validator measured last."""
    box = validator.metrics.box
    names = validator.metrics.names
    return Metrics(
        map50=float(box.map50),
        map50_95=float(box.map),
        precision=float(box.mp),
        recall=float(box.mr),
        images=int(validator.seen),
        per_class={names[int(c)]: float(box.maps[int(c)]) for c in box.ap_class_index},
    )


def device() -> str:
    """Return the device to work on: the first accelerator, or the CPU."""
    return "0" if torch.cuda.is_available() else "cpu"
