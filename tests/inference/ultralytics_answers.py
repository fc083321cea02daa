"""Run as a program: exports a small random detector to ONNX, and writes what ultralytics finds with it.

    python ultralytics_answers.py FOLDER CONFIDENCE IOU

FOLDER holds images; `model.onnx` and `answers.json` are left beside them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labelstream_yolo.offline import prepare_ultralytics

SIDE = 128
CLASSES = 3


def main(folder: Path, confidence: float, iou: float) -> None:
    """Export, predict, write."""
    prepare_ultralytics(folder / "config", threads=1)
    import torch  # noqa: PLC0415  # only after ultralytics was prepared
    from ultralytics import YOLO  # noqa: PLC0415

    torch.manual_seed(7)
    (folder / "model.yaml").write_text(_architecture())
    trained = YOLO(str(folder / "model.yaml"), task="detect")
    head = trained.model.model[-1]
    for boxes, scores in zip(head.cv2, head.cv3, strict=True):
        # A fresh head scores everything near zero; this one tells places apart.
        torch.nn.init.normal_(boxes[-1].weight, std=0.4)
        torch.nn.init.normal_(scores[-1].weight, std=0.4)
        torch.nn.init.constant_(scores[-1].bias, -2)
    for layer in trained.model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0  # one batch fills the statistics, so that signals do not fade from layer to layer
    trained.model.train()
    with torch.no_grad():
        trained.model(torch.rand(8, 3, SIDE, SIDE))
    trained.model.eval()
    trained.save(folder / "model.pt")
    exported = YOLO(str(folder / "model.pt")).export(format="onnx", imgsz=SIDE, simplify=False, verbose=False)
    write_answers(YOLO(exported, task="detect"), sorted(folder.glob("*.png")), SIDE, folder, (confidence, iou))


def write_answers(model: Any, images: Sequence[Path], side: int, folder: Path, thresholds: tuple[float, float]) -> None:
    """Write what ultralytics finds in `images`: `answers.json`, by their names."""
    answers = {}
    for image in images:
        confidence, iou = thresholds
        (result,) = model.predict(str(image), imgsz=side, conf=confidence, iou=iou, max_det=300, verbose=False)
        boxes = result.boxes
        answers[image.name] = {
            "boxes": boxes.xyxy.tolist(),
            "scores": boxes.conf.tolist(),
            "classes": [int(each) for each in boxes.cls.tolist()],
        }
    (folder / "answers.json").write_text(json.dumps(answers))


def _architecture() -> str:
    layers = [
        "[-1, 1, Conv, [16, 3, 2]]",
        "[-1, 1, Conv, [32, 3, 2]]",
        "[-1, 1, C3k2, [32, False]]",
        "[-1, 1, Conv, [48, 3, 2]]",
        "[-1, 1, Conv, [64, 3, 2]]",
        "[-1, 1, C3k2, [64, False]]",
    ]
    listed = "\n".join(f"  - {layer}" for layer in layers)
    return f"nc: {CLASSES}\nbackbone:\n{listed}\nhead:\n  - [[3, 5], 1, Detect, [nc]]\n"


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]))
