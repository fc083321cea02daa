"""Trained weights to an ONNX graph: images in, raw (batch, 4 + classes, n) out; others begin with it.

Images are float32 NCHW RGB 0..1, or bytes, NHWC BGR, where the format's name says `u8`.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import onnx
import onnxslim
import torch

from exporter.engine.adapters.contract import RAW, BuildOrder
from exporter.engine.rewriting.pixels import take_pixels
from labelstream.bundle import ArtifactFacts, Calibration
from labelstream_yolo.architecture import Architecture
from labelstream_yolo.offline import versions

OPSET = 18  # from 19 on, onnxruntime's CUDA provider runs Resize on the CPU
IR_VERSION = 10  # what the runtimes of the last years read
INPUT, OUTPUT = "images", "output0"


def export_graph(order: BuildOrder, path: Path, batch: int | None = None) -> None:
    """Write the network as ONNX: for exactly `batch` squares at once, or for any number of them.

    The same weights and libraries give the same bytes.
    """
    images = torch.zeros(batch or 1, 3, order.side, order.side)
    traced = traceable(order.model, images)
    torch.onnx.export(
        traced,
        (images,),
        str(path),
        opset_version=OPSET,
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamic_axes=None if batch else {INPUT: {0: "batch"}, OUTPUT: {0: "batch"}},
        dynamo=False,
    )
    slim = onnxslim.slim(onnx.load(path))
    slim.ir_version = min(slim.ir_version, IR_VERSION)
    if order.format.u8:
        take_pixels(slim)
    _describe(slim, order.architecture, int(order.model.stride.max()), batch)
    onnx.checker.check_model(slim)
    onnx.save(slim, path)


def traceable(model: Any, images: torch.Tensor) -> Any:
    """Return a copy with fused layers, whose head gives its raw output alone, laid out for squares like `images`."""
    traced = copy.deepcopy(model).eval().float()
    traced.end2end = False
    traced = traced.fuse(verbose=False).requires_grad_(requires_grad=False)
    head = traced.model[-1]
    head.export, head.format, head.dynamic = True, "onnx", False
    traced(images)  # the head lays out its anchors for this size, once, outside the graph
    return traced


def facts(
    order: BuildOrder,
    *libraries: str,
    batch: int | None = None,
    output: str = RAW,
    hints: dict[str, str] | None = None,
    calibration: Calibration | None = None,
) -> ArtifactFacts:
    """Describe a file that takes what the order's graph takes; `libraries` made it, beside those that make all."""
    return ArtifactFacts(
        name=order.format.name,
        format=order.format.family,
        precision=order.format.precision,
        target=order.format.target,
        input=order.input,
        output=output,
        batch=batch,
        hints=hints or {},
        calibration=calibration,
        versions=versions(*libraries),
    )


def _describe(graph: Any, architecture: Architecture, stride: int, batch: int | None) -> None:
    """Say in the file what ultralytics and other readers look for."""
    side = architecture.image_size
    about = {
        "task": architecture.task,
        "names": dict(enumerate(architecture.names)),
        "imgsz": [side, side],
        "stride": max(stride, 32),
        "batch": batch or 1,
        "channels": 3,
        "args": {"nms": False, "dynamic": False},
    }
    onnx.helper.set_model_props(graph, {name: str(value) for name, value in about.items()})
