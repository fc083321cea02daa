"""Trains a detector small enough for a test; run as a program: ultralytics stays out of the tests' own process.

python learning.py OUT    leaves weights.safetensors, architecture.json, train/ and test/ with images and labels
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from labelstream_yolo.architecture import Architecture
from labelstream_yolo.offline import prepare_ultralytics, versions

NAMES = ("disc", "bar")
SIDE = 96
NETWORK: dict[str, Any] = {
    "nc": 80,
    "width_multiple": 0.25,
    "reg_max": 8,
    "backbone": [
        [-1, 1, "Conv", [48, 3, 2]],
        [-1, 1, "Conv", [96, 3, 2]],
        [-1, 1, "Conv", [160, 3, 2]],
        [-1, 1, "C2f", [160, True]],
    ],
    "head": [[[-1], 1, "Detect", ["nc"]]],
}


def main(out: Path) -> None:
    draw(out, {"train": 80, "val": 8, "test": 16})
    prepare_ultralytics(out / "ultralytics", threads=1)
    from ultralytics.models.yolo.detect import DetectionTrainer  # noqa: PLC0415  # after the preparation

    from labelstream_yolo.weights import build_model, save_weights  # noqa: PLC0415

    architecture = Architecture(model=NETWORK, image_size=SIDE, names=NAMES, versions=versions())

    class Trainer(DetectionTrainer):
        def get_model(self, *_: Any, **__: Any) -> Any:
            return build_model(architecture)

    trainer = Trainer(
        overrides={
            "model": "network.yaml", "data": str(out / "data.yaml"), "save_dir": str(out / "run"), "exist_ok": True,
            "device": "cpu", "amp": False, "workers": 0, "pretrained": False, "plots": False, "val": False,
            "imgsz": SIDE, "epochs": 8, "batch": 4, "nbs": 4, "optimizer": "AdamW", "lr0": 0.006,
            "warmup_bias_lr": 0.0, "warmup_epochs": 1, "cos_lr": True, "mosaic": 0.0, "close_mosaic": 0,
            "erasing": 0.0, "cache": "ram", "seed": 0,
        }
    )  # fmt: skip
    trainer.train()
    save_weights(trainer.ema.ema, out / "weights.safetensors")
    (out / "architecture.json").write_text(architecture.model_dump_json())


def draw(root: Path, sizes: dict[str, int]) -> None:
    rng = np.random.default_rng(7)
    for split, count in sizes.items():
        for part in ("images", "labels"):
            (root / split / part).mkdir(parents=True)
        for number in range(count):
            image, lines = _scene(rng)
            cv2.imwrite(str(root / split / "images" / f"{number:03}.png"), image)
            (root / split / "labels" / f"{number:03}.txt").write_text("".join(lines))
    paths = {split: f"{split}/images" for split in sizes}
    (root / "data.yaml").write_text(yaml.safe_dump({"path": str(root), **paths, "names": list(NAMES)}))


def _scene(rng: np.random.Generator) -> tuple[np.ndarray, list[str]]:
    image = rng.integers(90, 130, (SIDE, SIDE, 3), dtype=np.uint8)
    lines = []
    for left in (4, 50):  # one object in each half
        class_id, size = int(rng.integers(0, 2)), int(rng.integers(24, 36))
        x, y = left + size // 2, int(rng.integers(size // 2 + 2, SIDE - size // 2 - 2))
        height = size if class_id == 0 else size // 3
        if class_id == 0:
            cv2.circle(image, (x, y), size // 2, (250, 240, 30), -1)
        else:
            cv2.rectangle(image, (x - size // 2, y - height // 2), (x + size // 2, y + height // 2), (20, 30, 230), -1)
        lines.append(f"{class_id} {x / SIDE:.6f} {y / SIDE:.6f} {size / SIDE:.6f} {height / SIDE:.6f}\n")
    return image, lines


if __name__ == "__main__":
    main(Path(sys.argv[1]))
