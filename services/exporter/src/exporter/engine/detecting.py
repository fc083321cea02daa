"""What a model finds in images, asked through ultralytics' own predictor: the reference for both sides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from ultralytics.models.yolo.detect import DetectionPredictor

from exporter.engine.agreement import Found
from exporter.engine.contract import ExportSpec


def detect(model: Any, images: Sequence[Path], image_size: int, spec: ExportSpec) -> Iterator[Found]:
    """Yield what `model` (a network, or the path of an ONNX file) finds in each image, in order.

    Images are letterboxed into the square, whatever their shape, so that every format sees the same pixels. Raises
    ValueError for a file that is no image.
    """
    predictor = DetectionPredictor(
        overrides={
            "task": "detect",
            "mode": "predict",
            "imgsz": image_size,
            "conf": spec.confidence,
            "iou": spec.iou,
            "max_det": 300,
            "rect": False,
            "batch": 1,
            "device": "cpu",
            "save": False,
            "verbose": False,
            "save_dir": str(spec.out_dir / "predict"),
        }
    )
    predictor.setup_model(model, verbose=False)
    for image in images:
        pixels = cv2.imread(str(image), cv2.IMREAD_COLOR)
        if pixels is None:
            raise ValueError(f"{image} is no image that OpenCV can read")
        (result,) = predictor(pixels)
        yield _found(result)


def _found(result: Any) -> Found:
    boxes: torch.Tensor = result.boxes
    order = np.argsort(-boxes.conf.numpy(), kind="stable")
    height, width = result.orig_shape
    return Found(
        boxes=boxes.xyxy.numpy()[order].astype(np.float64),
        scores=boxes.conf.numpy()[order].astype(np.float64),
        classes=boxes.cls.numpy()[order].astype(np.int64),
        height=int(height),
        width=int(width),
    )
