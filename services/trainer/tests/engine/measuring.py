"""Trains two small detectors and has them measured; run as a program: ultralytics stays out of the tests' own process.

python measuring.py DATA OUT    leaves OUT/measured.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from labelstream_yolo.architecture import Architecture
from labelstream_yolo.offline import prepare_ultralytics, versions
from trainer.engine.contract import NetworkFiles, TrainingSpec
from trainer.recipe import TrainingRecipe

NAMES = ("disc", "bar")
CHAMPION_NAMES = ("Bar", "kite")  # another order, another case, a class of its own; it knows no disc
SIDE, CHAMPION_SIDE = 96, 64


def main(data: Path, out: Path) -> None:
    prepare_ultralytics(out / "ultralytics", threads=1)
    from ultralytics.models.yolo.detect import DetectionTrainer, DetectionValidator  # noqa: PLC0415  # after the preparation
    from ultralytics.nn.tasks import DetectionModel  # noqa: PLC0415

    from labelstream_yolo.weights import build_model, load_model, save_weights  # noqa: PLC0415
    from trainer.engine import evaluation  # noqa: PLC0415

    class Trainer(DetectionTrainer):
        def get_model(self, *_: Any, **__: Any) -> Any:
            return build_model(architecture_of(NAMES, SIDE))

    def trained(epochs: int) -> Any:
        trainer = Trainer(
            overrides={
                "model": "network.yaml", "data": str(data / "data.yaml"), "save_dir": str(out / f"run-{epochs}"),
                "exist_ok": True, "device": "cpu", "amp": False, "workers": 0, "pretrained": False, "plots": False,
                "imgsz": SIDE, "epochs": epochs, "batch": 4, "nbs": 4, "optimizer": "AdamW", "lr0": 0.006,
                "warmup_bias_lr": 0.0, "warmup_epochs": 1, "cos_lr": True, "mosaic": 0.0, "close_mosaic": 0,
                "erasing": 0.0, "cache": "ram", "seed": 0,
            }
        )  # fmt: skip
        trainer.train()
        return trainer.ema.ema

    def left(name: str, model: Any, names: tuple[str, ...], side: int) -> NetworkFiles:
        save_weights(model, out / f"{name}.safetensors")
        (out / f"{name}.json").write_text(architecture_of(names, side).model_dump_json())
        return NetworkFiles(id=name, weights=out / f"{name}.safetensors", architecture=out / f"{name}.json")

    new = left("new", trained(6), NAMES, SIDE)
    # the champion is the same network with its last layer's classes turned round: it finds the bars as class 0
    champion = load_model(new.weights, architecture_of(NAMES, SIDE))
    for branch in champion.model[-1].cv3:
        branch[-1].weight.data = branch[-1].weight.data.flip(0)
        branch[-1].bias.data = branch[-1].bias.data.flip(0)
    old = left("old", champion, CHAMPION_NAMES, CHAMPION_SIDE)

    shown: list[tuple[int, int]] = []
    forward = DetectionModel.forward

    def counted(self: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        shown.append((len(x), x.shape[-1]))
        return forward(self, x, *args, **kwargs)

    passes: list[Any] = []
    collected = evaluation.collected

    def kept(*arguments: Any) -> Any:
        passes.append(collected(*arguments))
        return passes[-1]

    DetectionModel.forward, evaluation.collected = counted, kept
    recipe = TrainingRecipe(architecture="small", image_size=SIDE, batch=5)
    spec = TrainingSpec(data=data, recipe=recipe, out_dir=out, device="cpu")
    architecture = architecture_of(NAMES, SIDE)

    def tested(champion: NetworkFiles | None) -> Any:
        wanted = spec.model_copy(update={"champion": champion})
        return evaluation.test_of(wanted, architecture, new.weights, data / "data.yaml").model_dump(mode="json")

    beside = tested(old)
    seen = list(shown)
    missing = NetworkFiles(id="gone", weights=out / "gone.safetensors", architecture=old.architecture)
    validator = DetectionValidator(
        save_dir=out / "own",
        args={"task": "detect", "mode": "val", "data": str(data / "data.yaml"), "split": "test", "imgsz": SIDE,
              "batch": 5, "device": "cpu", "rect": False, "plots": False, "verbose": False},
    )  # fmt: skip
    validator(model=load_model(new.weights, architecture))
    box = validator.metrics.box
    content = {
        "beside": beside,
        "shown": seen,
        "boxes": [boxes_of(some) for some in passes[:2]],
        "unreadable": tested(missing),
        "ultralytics": [float(box.map50), float(box.map)],
    }
    (out / "measured.json").write_text(json.dumps(content))


def boxes_of(collector: Any) -> list[dict[str, Any]]:
    return [
        {
            "name": image.name,
            "size": [image.width, image.height],
            "true": [image.corners.tolist(), image.class_ids.tolist()],
            "found": [found.corners.tolist(), found.class_ids.tolist(), found.confidences.tolist()],
        }
        for image, found in zip(collector.images, collector.found, strict=True)
    ]


def architecture_of(names: tuple[str, ...], side: int) -> Architecture:
    network = TrainingRecipe(architecture="small").network
    assert network is not None
    return Architecture(model=network, image_size=side, names=names, versions=versions())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
