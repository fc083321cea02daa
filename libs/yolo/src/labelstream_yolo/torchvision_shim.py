"""Makes torchvision import beside a build of torch that its compiled operators do not fit.

ultralytics imports torchvision, but needs none of its operators on a CPU: its own non-maximum
suppression is plain torch. Declaring the missing operators is enough for the import; `nms` gets a
real implementation, because the import of torchvision also registers what it looks like to tracers.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import torch

_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_declared: list[Any] = []  # torch forgets a library's operators when its object dies


def repair_torchvision() -> bool:
    """Import torchvision, declaring its operators first where they are missing; say whether that was needed."""
    try:
        importlib.import_module("torchvision")
    except RuntimeError:  # "operator torchvision::nms does not exist"
        _declare_operators()
        return True
    return False


def _declare_operators() -> None:
    for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(operator + _SIGNATURE)
    library.impl("nms", suppress, "CPU")
    _declared.append(library)
    importlib.import_module("torchvision")
    for module in ("torchvision.extension", "torchvision.ops.boxes"):
        importlib.import_module(module)._assert_has_ops = lambda: None  # type: ignore[attr-defined]  # noqa: SLF001  # its check for the compiled operators


def suppress(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Return the indices of the boxes that survive greedy suppression, best first; `boxes` is (n, 4) xyxy."""
    order = scores.argsort(descending=True, stable=True)
    kept: list[int] = []
    while order.numel():
        best, order = int(order[0]), order[1:]
        kept.append(best)
        order = order[_iou(boxes[best], boxes[order]) <= iou_threshold]
    return torch.tensor(kept, dtype=torch.int64)


def _iou(box: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    top_left, bottom_right = torch.maximum(box[:2], others[:, :2]), torch.minimum(box[2:], others[:, 2:])
    shared = (bottom_right - top_left).clamp(min=0).prod(dim=1)
    areas = (others[:, 2:] - others[:, :2]).prod(dim=1) + (box[2:] - box[:2]).prod()
    return shared / (areas - shared)
