"""Writes files of weights as people bring them; run as a program, because torch stays out of the tests' own process.

python brought.py FOLDER    leaves one .pt of each kind
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from labelstream_yolo.offline import prepare_ultralytics

NETWORK = {
    "nc": 3,
    "width_multiple": 0.25,
    "backbone": [[-1, 1, "Conv", [32, 3, 2]], [-1, 1, "Conv", [64, 3, 2]], [-1, 1, "Conv", [64, 3, 2]]],
    "head": [[[-1], 1, "Detect", ["nc"]]],
}
NAMES = {0: "truck", 1: "car", 2: "tank"}
KINDS = ("detector", "trap", "classifier", "segmenter", "activation", "broken")


class Trap:
    """Leaves a file behind when it is unpickled, if anything lets it."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.target}.sprung",)


def main(folder: Path) -> None:
    """Write a file of each kind."""
    prepare_ultralytics(folder / "ultralytics", threads=1)
    import torch  # noqa: PLC0415  # after the preparation
    from ultralytics.nn.tasks import ClassificationModel, DetectionModel, SegmentationModel  # noqa: PLC0415  # likewise

    for kind in KINDS:
        if kind == "classifier":
            model = ClassificationModel("yolo11n-cls.yaml", nc=3, verbose=False)
        elif kind == "segmenter":
            model = SegmentationModel("yolo11n-seg.yaml", nc=3, verbose=False)
        else:
            network = NETWORK | ({"activation": "torch.nn.ReLU()"} if kind == "activation" else {})
            model = DetectionModel(dict(network), nc=3, verbose=False)
        model.names, model.args = NAMES, {"imgsz": 96}
        if kind == "broken":
            next(model.parameters()).data.fill_(float("nan"))
        content = {"model": None, "ema": model.half(), "epoch": 7, "train_args": {}}
        target = folder / f"{kind}.pt"
        torch.save(content | ({"trap": Trap(target)} if kind == "trap" else {}), target)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
