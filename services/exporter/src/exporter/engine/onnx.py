"""Trained weights to ONNX: float32 NCHW RGB 0..1 in, raw (batch, 4 + classes, n) out."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import onnx
import onnxslim
import torch

from labelstream_yolo.architecture import Architecture

OPSET = 18  # from 19 on, onnxruntime's CUDA provider runs Resize on the CPU
IR_VERSION = 10  # what the runtimes of the last years read
INPUT, OUTPUT = "images", "output0"


def export_onnx(model: Any, architecture: Architecture, path: Path) -> None:
    """Write `model` as ONNX; the batch is free, the image is the architecture's square.

    The same weights and libraries give the same bytes.
    """
    image = torch.zeros(1, 3, architecture.image_size, architecture.image_size)
    traced = _to_trace(model)
    traced(image)  # the head lays out its anchors for this size, once, outside the graph
    torch.onnx.export(
        traced,
        (image,),
        str(path),
        opset_version=OPSET,
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamic_axes={INPUT: {0: "batch"}, OUTPUT: {0: "batch"}},
        dynamo=False,
    )
    slim = onnxslim.slim(onnx.load(path))
    slim.ir_version = min(slim.ir_version, IR_VERSION)
    _describe(slim, architecture, int(model.stride.max()))
    onnx.checker.check_model(slim)
    onnx.save(slim, path)


def _to_trace(model: Any) -> Any:
    """Return a copy with fused layers, whose head gives its raw output alone."""
    traced = copy.deepcopy(model).eval().float()
    traced.end2end = False
    traced = traced.fuse(verbose=False).requires_grad_(requires_grad=False)
    head = traced.model[-1]
    head.export, head.format, head.dynamic = True, "onnx", False
    return traced


def _describe(graph: Any, architecture: Architecture, stride: int) -> None:
    """Say in the file what ultralytics and other readers look for."""
    side = architecture.image_size
    about = {
        "task": architecture.task,
        "names": dict(enumerate(architecture.names)),
        "imgsz": [side, side],
        "stride": max(stride, 32),
        "batch": 1,
        "channels": 3,
        "args": {"nms": False, "dynamic": False},
    }
    onnx.helper.set_model_props(graph, {name: str(value) for name, value in about.items()})
