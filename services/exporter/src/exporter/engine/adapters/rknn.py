"""RKNN: a network for the NPU of a Rockchip processor, in float16 or INT8, proved in the toolkit's simulator.

The toolkit lives in an environment of its own (`make rknn`). It ends the network before boxes and scores are joined: in
eight bits both would share one scale, and scores would all be zero. In INT8 the last convolutions and what makes boxes
and scores of them stay in float16: that is worth a point of mAP50-95.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from exporter.engine.adapters.contract import (
    RAW_SPLIT,
    RGB_INPUT,
    BuildOrder,
    Built,
    Floats,
    Images,
    Runner,
    UnbuildableError,
)
from exporter.engine.adapters.graph import export_graph, facts
from exporter.engine.adapters.rknn_process import RknnProcess, ToolkitError
from exporter.engine.calibration import calibrated, calibration_squares
from exporter.engine.cutting import cuts_of
from labelstream.formats import Family

LIBRARIES = ("onnx", "onnxslim")


class Rknn:
    """Builds networks for the NPU, and runs them in the simulator of the process that built them."""

    family: Family = "rknn"

    def __init__(self) -> None:
        self._running: dict[Path, RknnProcess] = {}  # by artifact: the toolkit simulates only what it has just built

    def build(self, order: BuildOrder) -> Built:
        """Export the graph and have the toolkit make the network of it.

        Raises UnbuildableError and CalibrationMissingError.
        """
        if order.rknn_python is None:
            raise UnbuildableError(
                f"{order.format.name} is built in RKNN's own environment: make it (`make rknn`), and name its Python"
            )
        name, quantised = order.format.name, order.format.precision == "int8"
        out = order.out_dir.absolute()  # the toolkit works elsewhere
        folder, artifact = out / f"{name}-work", out / f"{name}.rknn"
        folder.mkdir(exist_ok=True)
        graph = folder / "graph.onnx"
        export_graph(order, graph, batch=1)
        cuts = cuts_of(graph)
        squares = _write_squares(order, folder) if quantised else []
        asked: dict[str, object] = {
            "graph": str(graph),
            "boxes": cuts.boxes,
            "scores": cuts.scores,
            "in_float16": [
                *([tensor, cuts.boxes] for tensor in cuts.of_boxes),
                *([tensor, cuts.scores] for tensor in cuts.of_scores),
            ],
            "calibration": squares,
            "target": order.format.target,
            "artifact": str(artifact),
        }
        versions = self._build(order.rknn_python, asked, folder, artifact)
        told = facts(order, *LIBRARIES, batch=1, output=RAW_SPLIT, calibration=calibrated(order) if quantised else None)
        told = told.model_copy(update={"input": RGB_INPUT, "versions": told.versions | versions})
        return Built(artifact, told, folder)

    def open(self, built: Built) -> Runner | str:
        """Hand over the simulator of the process that built the network; it answers once it was built here."""
        process = self._running.pop(built.artifact, None)
        if process is None:
            return "RKNN's simulator runs only what was built in the same process, and this file was built before"
        return RknnRunner(process)

    def _build(self, python: Path, asked: dict[str, object], folder: Path, artifact: Path) -> dict[str, str]:
        try:
            process = RknnProcess(python, asked, folder)
        except OSError as error:
            raise UnbuildableError(f"RKNN's own environment has no Python at {python}: {error.strerror}") from error
        try:
            versions = process.built()
        except ToolkitError:
            process.close()
            raise
        self._running[artifact] = process
        return versions


class RknnRunner:
    """A network in the toolkit's simulator."""

    batch: int | None = 1

    def __init__(self, process: RknnProcess) -> None:
        self._process = process

    def run(self, images: Images) -> Floats:
        """Answer (1, side, side, 3). Raises ToolkitError."""
        return self._process.simulate(images)

    def close(self) -> None:
        """End the simulator."""
        self._process.close()


def _write_squares(order: BuildOrder, folder: Path) -> list[str]:
    """Write each calibration image as the toolkit reads it: (1, 3, side, side), uint8."""
    paths = []
    for number, square in enumerate(calibration_squares(order)):
        path = folder / f"square-{number:04}.npy"
        np.save(path, square.transpose(2, 0, 1)[None])
        paths.append(str(path))
    return paths
