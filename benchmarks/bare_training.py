"""A training by ultralytics alone: its own trainer, checkpoints and last validation. Import it after the preparation.

Then the best weights are measured on the test split by the evaluation that ours ends with.
"""

from __future__ import annotations

import sys

import torch
import yaml
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.nn.tasks import load_checkpoint

from labelstream_yolo.architecture import Architecture
from labelstream_yolo.weights import save_weights
from trainer.engine.contract import Adjustments, TrainingSpec
from trainer.engine.evaluation import test_of
from trainer.engine.folder import open_folder
from trainer.engine.options import network_of, overrides_of
from trainer.engine.plan import Plan


def train(spec: TrainingSpec) -> None:
    """Train and measure."""
    folder = open_folder(spec.data)
    network = network_of(spec.recipe)
    description = folder.write_description(spec.out_dir / "data.yaml")
    architecture = Architecture(model=network, image_size=spec.recipe.image_size, names=folder.names)
    plan = Plan(
        spec=spec,
        identity="bare",
        architecture=architecture,
        description=description,
        train_images=folder.images["train"],
        taken_up=False,
    )
    file = spec.out_dir / "network.yaml"
    file.write_text(yaml.safe_dump(network))
    trainer = DetectionTrainer(overrides=overrides_of(plan, spec.out_dir / "run") | {"model": str(file)})
    trainer.add_callback("on_train_start", lambda _: torch.set_num_threads(spec.recipe.threads))
    trainer.train()
    best, _ = load_checkpoint(trainer.best)
    weights = spec.out_dir / "best.safetensors"
    save_weights(best, weights)
    settled = spec.model_copy(update={"adjustments": Adjustments(batch=trainer.batch_size)})
    score = test_of(settled, architecture, weights, description).model.score
    print(f"bare: test mAP50 {score.map50:.3f}", file=sys.stderr)
