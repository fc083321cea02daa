"""The smallest detector: a graph that finds red cells (class 0) and blue cells (class 1), and pictures for it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from labelstream.bundle import ArtifactFacts, GoldenImage, GoldenSet, ManifestFacts, Thresholds
from labelstream.classes import ClassSchema
from labelstream.events.model import Agreement
from labelstream.events.training import Metrics
from labelstream.labels import Box
from labelstream.protection.bundling import PlainArtifact, WrittenBundle, write_bundle

SIDE, CELL = 64, 8
RED, BLUE = (0, 0, 255), (255, 0, 0)  # BGR
_PER_SIDE = SIDE // CELL


def cells_bundle(folder: Path, model: str, signing_key: Path, gain: float = 1.0) -> WrittenBundle:
    """Write a signed bundle of a detector whose scores are `gain` times what they could be."""
    graph = folder / f"{model}.onnx"
    graph.write_bytes(_graph(gain))
    metrics = Metrics(map50=1.0, map50_95=1.0, precision=1.0, recall=1.0, images=1)
    facts = ManifestFacts(
        model=model,
        project="default",
        job="cells",
        dataset_id="d" * 64,
        created_ms=1,
        class_schema=ClassSchema(name="cells", classes=("red", "blue")),
        image_size=SIDE,
        thresholds=Thresholds(),
        validation=metrics,
        test=metrics,
        versions={},
    )
    artifact = ArtifactFacts(
        name="onnx-fp32",
        format="onnx",
        precision="fp32",
        input="float32-nchw-rgb-0-1",
        output="raw-yolo",
        agreement=Agreement(images=1, boxes=1, unmatched=0, max_box_px=0.0, max_score=0.0),
    )
    golden = GoldenSet(images=(GoldenImage(image=cells(), boxes=_boxes(gain)),), max_box_px=0.5, max_score=0.01)
    return write_bundle(folder / model, facts, [PlainArtifact(artifact, graph)], golden, signing_key)


def cells(extension: str = ".png", times: int = 1) -> bytes:
    """Return a picture with a red and a blue cell; `times` as large as the network sees it."""
    pixels = np.full((SIDE, SIDE, 3), 114, np.uint8)
    for (row, column), colour in zip(((2, 3), (5, 6)), (RED, BLUE), strict=True):
        pixels[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL] = colour
    larger = cv2.resize(pixels, None, fx=times, fy=times, interpolation=cv2.INTER_NEAREST)
    return cv2.imencode(extension, larger)[1].tobytes()


def _boxes(gain: float) -> tuple[Box, ...]:
    found = []
    for class_id, (row, column) in enumerate(((2, 3), (5, 6))):
        corners = (column / _PER_SIDE, row / _PER_SIDE, (column + 1) / _PER_SIDE, (row + 1) / _PER_SIDE)
        found.append(Box.from_corners(class_id, *corners).model_copy(update={"confidence": gain}))
    return tuple(found)


def _graph(gain: float) -> bytes:
    centres = (np.arange(_PER_SIDE, dtype=np.float32) + 0.5) * CELL
    y, x = np.meshgrid(centres, centres, indexing="ij")
    sides = np.full_like(x, CELL)
    mix = gain * np.array([[1, -0.5, -0.5], [-0.5, -0.5, 1]], np.float32)  # a colour less the mean of the others
    padding = np.random.default_rng(1).random(30_000, np.float32)  # makes the file longer than its small part
    constants = {
        "mix": mix.reshape(2, 3, 1, 1),
        "boxes": np.stack([x, y, sides, sides]).reshape(1, 4, -1),
        "shape": np.array([1, 2, _PER_SIDE**2], np.int64),
        "padding": padding,
        "zero": np.float32(0),
    }
    nodes = [
        helper.make_node("AveragePool", ["images"], ["pooled"], kernel_shape=[CELL, CELL], strides=[CELL, CELL]),
        helper.make_node("Conv", ["pooled", "mix"], ["mixed"]),
        helper.make_node("Reshape", ["mixed", "shape"], ["scores"]),
        helper.make_node("ReduceMin", ["padding"], ["least"], keepdims=0),
        helper.make_node("Mul", ["least", "zero"], ["nothing"]),
        helper.make_node("Add", ["scores", "nothing"], ["kept"]),
        helper.make_node("Concat", ["boxes", "kept"], ["output0"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "cells",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 6, _PER_SIDE**2])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
