"""Decode, letterbox, run the network, suppress: nothing else. The ceiling of every server, and what peers are built of.

python -m benchmarks.serving.bare --graph FILE --images FOLDER --loops 2 --threads 1 --seconds 20

So many loops side by side in one process, each run with so many threads; one line of JSON at the end.
Imports nothing of ours: it also runs in the environment of the peers.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tarfile
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np
import numpy.typing as npt

CONFIDENCE, IOU, MOST = 0.25, 0.45, 300  # as in the bundle
GREY = 114
SIDE = 640

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


class Fit(NamedTuple):
    """Where an image lies in the square."""

    scale_x: float
    scale_y: float
    left: int
    top: int
    width: int
    height: int


class Network(Protocol):
    """Runs a network; each loop has one of its own."""

    bytes_in: bool  # takes (1, side, side, 3) uint8 BGR; else (1, 3, side, side) floats, RGB, 0 to 1

    def run(self, square: npt.NDArray[Any]) -> Floats:
        """Return (1, 4 + classes, candidates)."""
        ...


class OnnxNetwork:
    """onnxruntime; threads spin only where the loop has them all to itself."""

    def __init__(self, graph: Path, threads: int) -> None:
        import onnxruntime  # noqa: PLC0415  # only who runs ONNX needs it

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "1" if threads > 1 else "0")
        self._session: Any = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self.bytes_in = "uint8" in self._session.get_inputs()[0].type

    def run(self, square: npt.NDArray[Any]) -> Floats:
        """Return (1, 4 + classes, candidates)."""
        raw: Floats = self._session.run(None, {self._input: square})[0]
        return raw


class OpenVinoNetwork:
    """OpenVINO: one network with a stream for each loop."""

    def __init__(self, compiled: Any) -> None:
        self._request = compiled.create_infer_request()
        self.bytes_in = compiled.inputs[0].element_type.to_string() == "u8"

    @classmethod
    def several(cls, graph: Path, loops: int, threads: int, precision: str) -> list[OpenVinoNetwork]:
        """Open an ONNX file, or an archive of model.xml and model.bin."""
        import openvino  # noqa: PLC0415  # only who runs OpenVINO needs it

        core = openvino.Core()
        if graph.suffix == ".onnx":
            model = core.read_model(graph)
        else:
            with tarfile.open(graph) as archive:
                parts = {each.name: archive.extractfile(each) for each in archive}
                read = {name: file.read() for name, file in parts.items() if file is not None}
            weights = openvino.Tensor(np.frombuffer(read["model.bin"], np.uint8))
            model = core.read_model(read["model.xml"], weights)
        model.reshape([1, *[each.get_length() for each in list(model.inputs[0].partial_shape)[1:]]])
        told = {"INFERENCE_NUM_THREADS": str(loops * threads), "NUM_STREAMS": str(loops)}
        compiled = core.compile_model(model, "CPU", told | {"INFERENCE_PRECISION_HINT": precision})
        return [cls(compiled) for _ in range(loops)]

    def run(self, square: npt.NDArray[Any]) -> Floats:
        """Return (1, 4 + classes, candidates)."""
        raw: Floats = self._request.infer([square], share_inputs=True, share_outputs=True)[0]
        return raw


def decode(encoded: bytes) -> Pixels:
    """Return (height, width, 3) BGR."""
    pixels = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ValueError("not an image")
    return np.asarray(pixels, np.uint8)


def letterbox(pixels: Pixels, *, bytes_in: bool = False) -> tuple[npt.NDArray[Any], Fit]:
    """Put an image in the middle of a grey square, as the network takes it."""
    height, width = pixels.shape[:2]
    ratio = min(SIDE / height, SIDE / width)
    inner_width, inner_height = max(round(width * ratio), 1), max(round(height * ratio), 1)
    left, top = round((SIDE - inner_width) / 2 - 0.1), round((SIDE - inner_height) / 2 - 0.1)
    if (inner_width, inner_height) != (width, height):
        pixels = np.asarray(cv2.resize(pixels, (inner_width, inner_height), interpolation=cv2.INTER_LINEAR), np.uint8)
    fit = Fit(inner_width / width, inner_height / height, left, top, width, height)
    square = np.full((1, SIDE, SIDE, 3), GREY, np.uint8)
    square[0, top : top + inner_height, left : left + inner_width] = pixels
    if bytes_in:
        return square, fit
    blob = np.empty((1, 3, SIDE, SIDE), np.float32)
    for target, channel in zip(blob[0], reversed(cv2.split(square[0])), strict=True):
        np.divide(channel, np.float32(255), out=target)
    return blob, fit


def suppress(raw: Floats, fit: Fit) -> list[dict[str, Any]]:
    """Return the detections of (4 + classes, candidates), the most confident first."""
    best = raw[4:].max(axis=0)
    kept = np.flatnonzero(best > CONFIDENCE)
    if not len(kept):
        return []
    scores, classes, (x, y, width, height) = best[kept], raw[4:, kept].argmax(axis=0), raw[:4, kept]
    rectangles = np.stack([x - width / 2, y - height / 2, width, height], axis=1)
    # Its stubs ask for lists, and arrays are what it is fast with.
    batched: Any = cv2.dnn.NMSBoxesBatched
    chosen = np.asarray(batched(rectangles.astype(np.float64), scores, classes.astype(np.int32), 0.0, IOU))[:MOST]
    corners = np.concatenate([rectangles[chosen, :2], rectangles[chosen, :2] + rectangles[chosen, 2:]], axis=1)
    offset, gain = [fit.left, fit.top] * 2, [fit.scale_x, fit.scale_y] * 2
    boxes = np.clip((corners - offset) / gain, 0, [fit.width, fit.height] * 2)
    return [
        {"class": int(c), "confidence": round(float(s), 5), "box": [round(float(v), 3) for v in box]}
        for c, s, box in zip(classes[chosen], scores[chosen], boxes, strict=True)
    ]


class Detector:
    """The whole way from a file's bytes to detections."""

    def __init__(self, network: Network) -> None:
        cv2.setNumThreads(1)
        self._network = network

    @classmethod
    def of_graph(cls, graph: Path, threads: int = 1) -> Detector:
        """Open an ONNX file."""
        return cls(OnnxNetwork(graph, threads))

    def detect(self, encoded: bytes) -> list[dict[str, Any]]:
        """Find what is in an image."""
        square, fit = letterbox(decode(encoded), bytes_in=self._network.bytes_in)
        return suppress(self._network.run(square)[0], fit)


def main() -> None:
    """Run the loops and print what they did."""
    parser = argparse.ArgumentParser("python -m benchmarks.serving.bare", description=__doc__)
    parser.add_argument("--graph", type=Path, required=True, help="*.onnx, or *.tar of OpenVINO")
    parser.add_argument("--images", type=Path, required=True, help="a folder of JPEGs")
    parser.add_argument("--loops", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1, help="of one run of the network")
    parser.add_argument("--runtime", choices=["onnxruntime", "openvino"], help="default: the one whose file it is")
    parser.add_argument("--precision", default="f32", help="OpenVINO's hint: f32 or bf16")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--warm-up", type=float, default=2)
    told = parser.parse_args()
    files = [path.read_bytes() for path in sorted(told.images.glob("*.jpg"))]
    if not files:
        sys.exit(f"{told.images} holds no *.jpg")
    if (told.runtime or ("onnxruntime" if told.graph.suffix == ".onnx" else "openvino")) == "onnxruntime":
        networks: list[Network] = [OnnxNetwork(told.graph, told.threads) for _ in range(told.loops)]
    else:
        networks = list(OpenVinoNetwork.several(told.graph, told.loops, told.threads, told.precision))
    latencies, empty = _loops([Detector(each) for each in networks], files, told.seconds, told.warm_up)
    print(json.dumps({
        "requests": len(latencies), "errors": empty, "per_second": len(latencies) / told.seconds,
        "latencies_ms": [round(each * 1000, 3) for each in latencies],
    }))  # fmt: skip


def _loops(detectors: list[Detector], files: list[bytes], seconds: float, warm_up_s: float) -> tuple[list[float], int]:
    """Return the seconds of each image that was done within the time, and how many were answered with nothing."""
    turns = itertools.cycle(files)
    taking = threading.Lock()
    latencies: list[float] = []
    empty: list[int] = []
    began = time.perf_counter() + warm_up_s

    def work(detector: Detector) -> None:
        while (start := time.perf_counter()) - began < seconds:
            with taking:
                encoded = next(turns)
            found = detector.detect(encoded)
            done = time.perf_counter()
            if not found:
                empty.append(1)
            if 0 <= done - began < seconds:
                latencies.append(done - start)

    working = [threading.Thread(target=work, args=(each,)) for each in detectors]
    for each in working:
        each.start()
    for each in working:
        each.join()
    return latencies, len(empty)


if __name__ == "__main__":
    main()
