"""OpenVINO: one archive of model.xml and model.bin, for any batch, in float32, bfloat16 or INT8.

The file of bfloat16 is that of float32: the precision is a hint to the runtime, which the manifest carries.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openvino

from exporter.engine.adapters.contract import BuildOrder, Built, Floats, Images, Runner
from exporter.engine.adapters.graph import export_graph, facts
from exporter.engine.adapters.packing import pack, unpack
from exporter.engine.calibration import calibrated, calibration_tensors
from exporter.engine.rewriting.int8_convolutions import quantize_convolutions
from labelstream.formats import Family

MODEL = "model.xml"
WEIGHTS = "model.bin"
PRECISION = "INFERENCE_PRECISION_HINT"
LIBRARIES = ("onnx", "onnxslim", "openvino")


class OpenVino:
    """Builds and runs OpenVINO networks."""

    family: Family = "openvino"

    def build(self, order: BuildOrder) -> Built:
        """Convert the ONNX graph; raises CalibrationMissingError where INT8 gets no images."""
        precision, name = order.format.precision, order.format.name
        graph, folder = order.out_dir / f"{name}.onnx", order.out_dir / name
        export_graph(order, graph)
        calibration = None
        if precision == "int8":
            quantize_convolutions(graph, calibration_tensors(order), graph, symmetric=False)
            calibration = calibrated(order)
        folder.mkdir(exist_ok=True)
        openvino.save_model(openvino.Core().read_model(graph), folder / MODEL, compress_to_fp16=False)
        graph.unlink()
        packed = order.out_dir / f"{name}.tar"
        pack([folder / MODEL, folder / WEIGHTS], packed)
        hints = {PRECISION: "bf16" if precision == "bf16" else "f32"}
        libraries = (*LIBRARIES, "onnxruntime") if precision == "int8" else LIBRARIES
        told = facts(order, *libraries, hints=hints, calibration=calibration)
        return Built(packed, told.model_copy(update={"packed": "tar"}), order.out_dir)

    def open(self, built: Built) -> Runner | str:
        """Load the network on the CPU, or say that this processor does not compute in its precision."""
        folder = built.folder / "opened"
        unpack(built.artifact, folder)
        runner = OpenVinoRunner(folder / MODEL, built.facts.hints)
        wanted, used = built.facts.hints[PRECISION], runner.precision
        if wanted != used:
            return f"{runner.processor} computes in {used} where the network is to run in {wanted}"
        return runner


class OpenVinoRunner:
    """A network on one thread of the CPU."""

    batch: int | None = None

    def __init__(self, model: Path, hints: dict[str, str]) -> None:
        core = openvino.Core()
        self.processor: str = core.get_property("CPU", "FULL_DEVICE_NAME")
        told = {"INFERENCE_NUM_THREADS": "1", "NUM_STREAMS": "1", **hints}
        self._compiled: Any = core.compile_model(model, "CPU", told)
        self.precision: str = self._compiled.get_property(PRECISION).to_string()

    def run(self, images: Images) -> Floats:
        """Answer images."""
        answer: Floats = self._compiled([images])[0]
        return answer

    def close(self) -> None:
        """Let the network go."""
        self._compiled = None
