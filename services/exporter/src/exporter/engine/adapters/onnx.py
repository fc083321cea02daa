"""ONNX: raw or with suppression in the graph, for any batch or one, in float32 or INT8; run by onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime

from exporter.engine.adapters.contract import RAW, SUPPRESSED, BuildOrder, Built, Floats, Images, Runner
from exporter.engine.adapters.graph import export_graph, facts
from exporter.engine.calibration import calibrated, calibration_tensors
from exporter.engine.rewriting.int8 import quantize_int8
from exporter.engine.rewriting.suppressing import suppress_in_graph
from labelstream.formats import Family

LIBRARIES = ("onnx", "onnxruntime", "onnxslim")


class Onnx:
    """Builds and runs ONNX files."""

    family: Family = "onnx"

    def build(self, order: BuildOrder) -> Built:
        """Write the graph; raises CalibrationMissingError where INT8 gets no images."""
        wanted = order.format
        path = order.out_dir / f"{wanted.name}.onnx"
        export_graph(order, path, wanted.batch)
        calibration = None
        if wanted.precision == "int8":
            quantize_int8(path, calibration_tensors(order), path)
            calibration = calibrated(order)
        if wanted.nms:
            suppress_in_graph(path, order.confidence, order.iou)
        output = SUPPRESSED if wanted.nms else RAW
        told = facts(order, *LIBRARIES, batch=wanted.batch, output=output, calibration=calibration)
        return Built(path, told, order.out_dir)

    def open(self, built: Built) -> Runner | str:
        """Load the graph into onnxruntime, which runs every graph that it can read."""
        return OnnxRunner(built.artifact, built.facts.batch)


class OnnxRunner:
    """An ONNX file in onnxruntime, on one thread of the CPU."""

    def __init__(self, path: Path, batch: int | None) -> None:
        self.batch = batch
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session: Any = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._input: str = self._session.get_inputs()[0].name

    def run(self, images: Images) -> Floats:
        """Answer images."""
        answer: Floats = self._session.run(None, {self._input: images})[0]
        return answer

    def close(self) -> None:
        """Let the session go."""
        self._session = None
