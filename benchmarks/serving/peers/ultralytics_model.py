"""ultralytics' own predictor on an ONNX file."""

from __future__ import annotations

import importlib
from typing import Any

import cv2
import numpy as np
import torch

from labelstream_yolo.torchvision_shim import repair_torchvision

# The graph takes squares, and any number of them: ultralytics would take that for any shape, unless it is told.
ASKED: dict[str, Any] = {"imgsz": 640, "rect": False, "conf": 0.25, "iou": 0.45, "max_det": 300, "verbose": False}


def open_model(graph: str) -> Any:
    """Open a file and run it once."""
    if repair_torchvision():
        # The compiled suppression is missing beside this build of torch. What stands in is as quick.
        importlib.import_module("torchvision").ops.nms = _suppress
    from ultralytics import YOLO  # noqa: PLC0415  # imports torchvision

    model = YOLO(graph, task="detect")
    model.predict(np.zeros((640, 640, 3), np.uint8), **ASKED)
    return model


def _suppress(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    corners = boxes.numpy()
    rectangles: Any = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1).astype(np.float64)
    kept = cv2.dnn.NMSBoxes(rectangles, scores.numpy(), 0.0, iou_threshold)
    return torch.as_tensor(np.asarray(kept, np.int64).ravel())
