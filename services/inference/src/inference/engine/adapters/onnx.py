"""onnxruntime on the CPU."""

from __future__ import annotations

import os

import numpy as np
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from inference.engine.adapters.yolo import to_detections, to_tensor
from inference.engine.contract import Prepared
from inference.engine.geometry import Floats, Found, Letterbox, Pixels, Tensor
from labelstream.bundle import Manifest, Thresholds
from labelstream.errors import Rejected

FORMAT = "onnx"
LOAD_ERRORS = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoModel,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)


class OnnxEngine:
    """An ONNX graph with raw output, in one session that all threads share."""

    def __init__(self, artifact: str, session: ort.InferenceSession, side: int) -> None:
        """Wrap an opened session whose input is (1, 3, `side`, `side`)."""
        self.artifact = artifact
        self.backend = "onnxruntime:" + ",".join(session.get_providers())
        self._session = session
        self._input = session.get_inputs()[0].name
        self._output = session.get_outputs()[0].name
        self.side = side
        self.at_once = os.cpu_count() or 1

    def pre_process(self, image: Pixels) -> Prepared:
        """Letterbox and scale an image."""
        return to_tensor(image, self.side)

    def forward(self, prepared: Prepared, *, alone: bool = False) -> Floats:  # noqa: ARG002
        """Run the network on one image; return its (4 + classes, candidates)."""
        raw: Floats = self.run(prepared.tensor[np.newaxis])[0]
        return raw

    def run(self, images: Tensor) -> Floats:
        """Run the network: (n, 3, side, side) to (n, 4 + classes, candidates)."""
        raw: Floats = self._session.run([self._output], {self._input: images})[0]
        return raw

    def close(self) -> None:
        """Let the session go."""

    def post_process(self, raw: Floats, letterbox: Letterbox, thresholds: Thresholds) -> Found:
        """Turn one image's raw output into detections in pixels of the image."""
        return to_detections(raw, letterbox, thresholds)


def open_onnx(manifest: Manifest, artifact: str, graph: bytes, threads_per_run: int = 1) -> OnnxEngine:
    """Open a graph that lies in memory, run it once, and see that it fits its manifest.

    Raises Rejected when it is not a graph that this engine runs, or has other inputs or classes.
    """
    try:
        session = ort.InferenceSession(graph, _options(threads_per_run), providers=["CPUExecutionProvider"])
        engine = OnnxEngine(artifact, session, manifest.image_size)
        raw = engine.run(np.zeros((1, 3, manifest.image_size, manifest.image_size), np.float32))
    except LOAD_ERRORS as error:
        raise Rejected(
            "model.unloadable",
            f"onnxruntime does not run {artifact}: {str(error).splitlines()[0]}",
            "Compare the exporter's onnx and onnxruntime versions (in the manifest) with this service's.",
        ) from error
    expected = 4 + len(manifest.class_schema.classes)
    if raw.ndim != 3 or raw.shape[1] != expected:
        raise Rejected(
            "model.output_differs",
            f"{artifact} answers with shape {raw.shape}, not (1, {expected}, candidates)",
            "The graph and the class schema of the bundle belong to different models; export again.",
        )
    return engine


def _options(threads_per_run: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads_per_run
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; they are raised as well
    # A spinning thread takes the core from the run beside it.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options
