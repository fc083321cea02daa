"""Trains with ultralytics alone, with our engine's settings: `python -m benchmarks.bare_train SPEC.json`.

Ultralytics' own trainer, its own checkpoints, its own last validation. Then the best weights are measured on the test
split by the evaluation that ours ends with.
"""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from labelstream_yolo.offline import prepare_ultralytics
from trainer.engine.contract import TrainingSpec


def main() -> None:
    """Train and measure."""
    spec = TrainingSpec.model_validate_json(Path(sys.argv[1]).read_bytes())
    spec.out_dir.mkdir(parents=True, exist_ok=True)
    prepare_ultralytics(spec.out_dir / "ultralytics", spec.recipe.threads)
    _train(spec)


def _train(spec: TrainingSpec) -> None:
    import torch  # noqa: PLC0415  # after the preparation, as all that follow
    from ultralytics.models.yolo.detect import DetectionTrainer  # noqa: PLC0415
    from ultralytics.nn.tasks import load_checkpoint  # noqa: PLC0415

    from labelstream_yolo.architecture import Architecture  # noqa: PLC0415
    from labelstream_yolo.weights import save_weights  # noqa: PLC0415
    from trainer.engine.contract import Adjustments  # noqa: PLC0415
    from trainer.engine.evaluation import test_of  # noqa: PLC0415
    from trainer.engine.folder import open_folder  # noqa: PLC0415
    from trainer.engine.options import network_of, overrides_of  # noqa: PLC0415
    from trainer.engine.plan import Plan  # noqa: PLC0415

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


if __name__ == "__main__":
    main()
