"""Run as a program: a small detector learns blood cells, is exported to ONNX, and ultralytics answers with it.

    python learning_cells.py BCCD FOLDER CONFIDENCE IOU

BCCD holds photographs, boxes and splits. `model.onnx` and `answers.json` are left in FOLDER.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET  # the boxes are part of the data that the test is given

import yaml
from ultralytics_answers import write_answers

from labelstream_yolo.offline import prepare_ultralytics

SIDE, EPOCHS = 192, 4
NAMES = ("RBC", "WBC", "Platelets")
NETWORK: dict[str, Any] = {
    "nc": len(NAMES),
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


def main(bccd: Path, folder: Path, confidence: float, iou: float) -> None:
    """Train, export, answer."""
    for split in ("train", "val"):
        _lay_out(bccd, folder, split)
    paths = {split: f"{split}/images" for split in ("train", "val")}
    (folder / "data.yaml").write_text(yaml.safe_dump({"path": str(folder), **paths, "names": list(NAMES)}))
    (folder / "network.yaml").write_text(yaml.safe_dump(NETWORK))
    prepare_ultralytics(folder / "ultralytics", threads=1)
    from ultralytics import YOLO  # noqa: PLC0415  # only after ultralytics was prepared

    learner = YOLO(str(folder / "network.yaml"), task="detect")
    learner.train(
        data=str(folder / "data.yaml"), project=str(folder), name="run", exist_ok=True, device="cpu", amp=False,
        workers=0, pretrained=False, plots=False, val=False, imgsz=SIDE, epochs=EPOCHS, batch=4, nbs=4,
        optimizer="AdamW", lr0=0.006, warmup_bias_lr=0.0, warmup_epochs=1, cos_lr=True, mosaic=0.0, close_mosaic=0,
        erasing=0.0, seed=0, verbose=False,
    )  # fmt: skip
    exported = YOLO(str(folder / "run" / "weights" / "last.pt")).export(format="onnx", imgsz=SIDE, simplify=False)
    Path(exported).rename(folder / "model.onnx")
    model = YOLO(str(folder / "model.onnx"), task="detect")
    write_answers(model, photographs(bccd, "test"), SIDE, folder, (confidence, iou))


def photographs(bccd: Path, split: str) -> list[Path]:
    """Return the photographs of a split."""
    names = (bccd / "splits" / f"{split}.txt").read_text().split()
    return [bccd / "JPEGImages" / f"{name}.jpg" for name in names]


def _lay_out(bccd: Path, folder: Path, split: str) -> None:
    for part in ("images", "labels"):
        (folder / split / part).mkdir(parents=True)
    for photograph in photographs(bccd, split):
        (folder / split / "images" / photograph.name).symlink_to(photograph)
        boxes = ET.parse(bccd / "Annotations" / f"{photograph.stem}.xml")  # noqa: S314  # as said above
        (folder / split / "labels" / f"{photograph.stem}.txt").write_text("".join(map(_line, boxes.iter("object"))))


def _line(box: ET.Element) -> str:
    left, top, right, bottom = (float(box.findtext(f"bndbox/{side}", "0")) for side in ("xmin", "ymin", "xmax", "ymax"))
    width, height = 640, 480
    place = ((left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width, (bottom - top) / height)
    return f"{NAMES.index(box.findtext('name', ''))} " + " ".join(f"{value:.6f}" for value in place) + "\n"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
