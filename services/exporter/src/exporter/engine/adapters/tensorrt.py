"""TensorRT: an engine for one architecture of GPU, in float16 or INT8.

Networks are strongly typed: what is computed in which precision stands in the ONNX graph, which is rewritten on the
CPU. The step that needs a GPU is thin.
"""

from __future__ import annotations

from pathlib import Path

from exporter.engine.adapters.contract import BuildOrder, Built, Runner, UnbuildableError
from exporter.engine.adapters.graph import export_graph, facts
from exporter.engine.adapters.tensorrt_engine import EngineRunner, Machine, build_engine
from exporter.engine.calibration import calibrated, calibration_tensors
from exporter.engine.rewriting.fp16 import to_fp16
from exporter.engine.rewriting.int8_convolutions import quantize_convolutions
from labelstream.formats import Family

LIBRARIES = ("onnx", "onnxruntime", "onnxslim")


class TensorRt:
    """Builds and runs engines, where there is a GPU of the architecture that they are for."""

    family: Family = "tensorrt"

    def __init__(self, machine: Machine | None = None) -> None:
        self._machine = machine or Machine()

    def build(self, order: BuildOrder) -> Built:
        """Rewrite the graph and make an engine of it. Raises UnbuildableError and CalibrationMissingError."""
        if lacking := self._machine.lacking(order.format.target):
            raise UnbuildableError(f"{order.format.name} can't be built on this machine: {lacking}")
        graph = rewritten(order)
        artifact = order.out_dir / f"{order.format.name}.engine"
        trt = self._machine.tensorrt()
        artifact.write_bytes(build_engine(trt, graph, order.image))
        told = facts(order, *LIBRARIES, calibration=calibrated(order) if order.format.precision == "int8" else None)
        told = told.model_copy(update={"versions": told.versions | {"tensorrt": str(trt.__version__)}})
        return Built(artifact, told, order.out_dir)

    def open(self, built: Built) -> Runner | str:
        """Load the engine onto the GPU; or say which GPU it is for."""
        if lacking := self._machine.lacking(built.facts.target):
            return lacking
        return EngineRunner(self._machine.tensorrt(), built.artifact)


def rewritten(order: BuildOrder) -> Path:
    """Write the graph, for any batch, with the precision in it. Needs no GPU; raises CalibrationMissingError."""
    graph = order.out_dir / f"{order.format.name}.onnx"
    export_graph(order, graph)
    if order.format.precision == "int8":
        quantize_convolutions(graph, calibration_tensors(order), graph, symmetric=True)
    else:
        to_fp16(graph, graph)
    return graph
