"""Bundles' manifests without files, networks of coloured cells, and doubles of what runs them."""

from __future__ import annotations

import io
import tarfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
import openvino
from onnx import TensorProto, helper, numpy_helper

from inference.engine.backends import Backends
from inference.engine.machine import Machine
from labelstream.bundle import Artifact, Manifest, SealedFile, Thresholds
from labelstream.classes import ClassSchema
from labelstream.errors import Rejected
from labelstream.events.model import Agreement, AgreementLimits
from labelstream.events.training import Metrics

SIDE, CELL = 64, 8
FLOATS, BYTES = "float32-nchw-rgb-0-1", "uint8-nhwc-bgr"
PROVED = Agreement(images=2, boxes=2, unmatched=0, max_box_px=0.1, max_score=0.001)
LIMITS = AgreementLimits(max_box_px=1, max_score=0.01, max_map_drop=0.01)


def artifact(name: str, **changes) -> Artifact:
    """An artifact as the manifest describes it; family and precision are read from its name."""
    family, precision, *_ = name.split("-")
    facts = {
        "name": name, "format": family, "precision": precision, "input": BYTES if "-u8" in name else FLOATS,
        "output": "raw-yolo", "agreement": PROVED, "limits": LIMITS,
        "packed": "tar" if family == "openvino" else "plain",
    }  # fmt: skip
    return Artifact(**{**sealed(name), **facts, **changes})


def sealed(name: str) -> dict[str, object]:
    """What a manifest says of a sealed file."""
    digest = "0" * 64
    return SealedFile(
        file=f"{name}.age", sealed_sha256=digest, sealed_bytes=1, small_bytes=1, small_sha256=digest,
        plain_sha256=digest, plain_bytes=1,
    ).model_dump()  # fmt: skip


def manifest(*artifacts: Artifact, classes: tuple[str, ...] = ("red", "blue")) -> Manifest:
    """A manifest of these artifacts."""
    metrics = Metrics(map50=0.9, map50_95=0.7, precision=0.9, recall=0.8, images=60)
    return Manifest(
        model="m1", project="default", job="j1", dataset_id="d" * 64, created_ms=1,
        class_schema=ClassSchema(name="cells", classes=classes), image_size=SIDE, thresholds=Thresholds(),
        validation=metrics, test=metrics, versions={}, recipient="age1", artifacts=artifacts,
        golden=SealedFile(**sealed("golden")),
    )  # fmt: skip


def with_cells(*cells: tuple[int, int, str]) -> np.ndarray:
    """A picture of the network's size with red and blue cells at (row, column)."""
    image = np.full((SIDE, SIDE, 3), 114, np.uint8)
    for row, column, colour in cells:
        blue_green_red = (0, 0, 255) if colour == "red" else (255, 0, 0)
        image[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL] = blue_green_red
    return image


def cells_graph(*, u8: bool = False, batch: int | None = 0, output: str = "raw-yolo", gain: float = 1.0) -> bytes:
    """A graph that scores each cell's redness (class 0) and blueness (class 1). batch 0: any number."""
    each, count, dimension = SIDE // CELL, (SIDE // CELL) ** 2, batch or "batch"
    centres = (np.arange(each, dtype=np.float32) + 0.5) * CELL
    y, x = np.meshgrid(centres, centres, indexing="ij")
    boxes = np.stack([x, y, np.full_like(x, CELL), np.full_like(x, CELL)]).reshape(1, 4, count).astype(np.float32)
    mix = gain * np.array([[1, -0.5, -0.5], [-0.5, -0.5, 1]], np.float32).reshape(2, 3, 1, 1)
    nodes = [
        helper.make_node("AveragePool", ["floats"], ["cells"], kernel_shape=[CELL, CELL], strides=[CELL, CELL]),
        helper.make_node("Conv", ["cells", "mix"], ["mixed"]),
        helper.make_node("Reshape", ["mixed", "flat"], ["scores"]),
        helper.make_node("Slice", ["scores", "from", "to", "axis"], ["one_score"]),
        helper.make_node("Mul", ["one_score", "zero"], ["nothing"]),
        helper.make_node("Add", ["box_values", "nothing"], ["boxes"]),  # once for each image
        helper.make_node("Concat", ["boxes", "scores"], ["output0"], axis=1),
    ]
    if u8:
        before = [
            helper.make_node("Gather", ["images", "bgr"], ["rgb"], axis=3),
            helper.make_node("Transpose", ["rgb"], ["planes"], perm=[0, 3, 1, 2]),
            helper.make_node("Cast", ["planes"], ["numbers"], to=TensorProto.FLOAT),
            helper.make_node("Div", ["numbers", "most"], ["floats"]),
        ]
        given = helper.make_tensor_value_info("images", TensorProto.UINT8, [dimension, SIDE, SIDE, 3])
    else:
        before = [helper.make_node("Identity", ["images"], ["floats"])]
        given = helper.make_tensor_value_info("images", TensorProto.FLOAT, [dimension, 3, SIDE, SIDE])
    shapes = {"output0": 6, "boxes": 4, "scores": 2}
    names = ["boxes", "scores"] if output == "raw-yolo-split" else ["output0"]
    answers = [
        helper.make_tensor_value_info(each, TensorProto.FLOAT, [dimension, shapes[each], count]) for each in names
    ]
    constants = {
        "mix": mix, "box_values": boxes, "flat": np.array([0, 2, count]), "zero": np.float32(0),
        "most": np.float32(255), "bgr": np.array([2, 1, 0]), "from": np.array([0]), "to": np.array([1]),
        "axis": np.array([1]),
    }  # fmt: skip
    graph = helper.make_graph(
        [*before, *nodes], "cells", [given], answers, [numpy_helper.from_array(v, k) for k, v in constants.items()]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def packed(graph: bytes, folder) -> bytes:
    """The same network as OpenVINO's files, in one archive."""
    openvino.save_model(openvino.Core().read_model(graph), folder / "model.xml", compress_to_fp16=False)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name in ("model.xml", "model.bin"):
            tar.add(folder / name, arcname=name)
    return archive.getvalue()


@dataclass
class Rehearsed:
    """A network that takes as long as it is told and answers with its score in one cell."""

    seconds: float = 1.0
    score: float = 0.9
    backend: str = "a double"
    at_once: int = 1
    closed: bool = False
    settled: bool = False
    trials: int = 0

    def run(self, tensor: np.ndarray, *, alone: bool = False) -> np.ndarray:  # noqa: ARG002
        raw = np.zeros((6, 4), np.float32)
        raw[4, 0] = self.score
        return raw

    def trial(self, tensor: np.ndarray) -> float:  # noqa: ARG002
        assert not self.closed
        self.trials += 1
        return self.seconds

    def settle(self) -> None:
        self.settled = True

    def close(self) -> None:
        self.closed = True


@dataclass
class Stage:
    """A backend of rehearsed networks, by the artifact's name; it sees how many are open at once."""

    networks: dict[str, Rehearsed | Rejected]
    lacks: dict[str, str] = field(default_factory=dict)
    faults: tuple[type[Exception], ...] = (RuntimeError,)
    most_open: int = 0
    opened: list[str] = field(default_factory=list)

    def lacking(self, facts) -> str | None:
        return self.lacks.get(facts.name)

    def open(self, facts, side, content):  # noqa: ARG002
        network = self.networks[facts.name]
        if isinstance(network, Rejected):
            raise network
        network.closed = False
        self.opened.append(facts.name)
        now_open = [name for name in set(self.opened) if not self.networks[name].closed]
        self.most_open = max(self.most_open, len(now_open))
        return network

    def everywhere(self, foreign: Stage | None = None) -> Backends:
        """These networks behind every family's own runtime; OpenVINO reads graphs of ONNX only as in `foreign`."""
        openvino = foreign or Stage({}, dict.fromkeys(self.networks, "no foreign graphs"))
        return Backends(Machine(), {"onnxruntime": self, "openvino": _Both(self, openvino), "tensorrt": self})


@dataclass
class _Both:
    """OpenVINO with networks made for it, and others for the graphs of ONNX that it reads."""

    own: Stage
    foreign: Stage
    faults: tuple[type[Exception], ...] = (RuntimeError,)

    def lacking(self, facts) -> str | None:
        return self._of(facts).lacking(facts)

    def open(self, facts, side, content):
        return self._of(facts).open(facts, side, content)

    def _of(self, facts) -> Stage:
        return self.own if facts.format == "openvino" else self.foreign


class HeldNetwork:
    """Runs batches when it is let, and remembers how large they were."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.begun = threading.Semaphore(0)
        self.let = threading.Semaphore(0)
        self.closed = False

    def __call__(self, images: np.ndarray) -> np.ndarray:
        self.sizes.append(len(images))
        self.begun.release()
        assert self.let.acquire(timeout=60)
        if (images == 13).any():
            raise RuntimeError("an unlucky image")
        return images.astype(np.float32).reshape(len(images), -1)

    def close(self) -> None:
        self.closed = True


def images(values: Sequence[int]) -> list[np.ndarray]:
    """Images of one pixel."""
    return [np.full((1,), value, np.float32) for value in values]
