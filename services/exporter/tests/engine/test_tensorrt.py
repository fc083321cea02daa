"""TensorRT without a GPU: the graphs that it is to read, what an engine is asked for, and why none is built here.

Nothing here runs TensorRT. Its place in building is taken by a double of the calls that NVIDIA documents.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, numpy_helper

from exporter.engine.adapters.contract import UnbuildableError
from exporter.engine.adapters.tensorrt_engine import Machine, build_engine

from .tensorrt_double import DocumentedTensorRt

PROGRAM = Path(__file__).with_name("rewriting_graphs.py")


@pytest.fixture(scope="module")
def graphs(learned, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("graphs")
    subprocess.run([sys.executable, PROGRAM, learned, folder], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def images(learned) -> np.ndarray:
    """The test images as the network sees them: they are squares of its size."""
    pixels = [cv2.imread(str(path))[..., ::-1] for path in sorted((learned / "test" / "images").iterdir())]
    return np.stack(pixels).transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "most_px", "most_score"), [("fp16", 0.05, 0.005), ("int8", 2.0, 0.15)], ids=["fp16", "int8"]
)
def test_a_rewritten_graph_agrees_with_that_in_full_precision(graphs, images, precision, most_px, most_score):
    full, rewritten = answer(graphs / "fp32.onnx", images), answer(graphs / f"{precision}.onnx", images)
    found = full[:, 4:].max(axis=1) > 0.25  # (images, n)
    assert found.sum() >= 32
    px = np.abs(rewritten - full)[:, :4].max(axis=1)[found]
    score = np.abs(rewritten - full)[:, 4:].max(axis=1)[found]
    print(f"\n{precision}: boxes {px.max():.4f} px, scores {score.max():.5f}")  # noqa: T201  # the figures are wanted
    assert 0 < px.max() <= most_px
    assert 0 < score.max() <= most_score


@pytest.mark.slow
def test_a_graph_in_eight_bits_has_the_form_that_tensorrt_reads(graphs):
    graph = onnx.load(graphs / "int8.onnx").graph
    constants = {constant.name: numpy_helper.to_array(constant) for constant in graph.initializer}
    steps = [node for node in graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    zeros = [constants[node.input[2]] for node in steps]
    assert len(steps) > 10
    assert {zero.dtype for zero in zeros} == {np.dtype(np.int8)}  # no unsigned ranges, and no int32 for a bias
    assert not any(zero.any() for zero in zeros)  # symmetric
    readers = Counter(reader.op_type for step in steps for reader in graph.node if step.output[0] in reader.input)
    assert readers["Conv"] > 10
    assert not readers.keys() & {"Sigmoid", "Mul"}  # TensorRT fuses them with the convolution before them


@pytest.mark.slow
def test_half_precision_reaches_up_to_the_last_convolutions_and_no_further(graphs):
    model = onnx.shape_inference.infer_shapes(onnx.load(graphs / "fp16.onnx"))
    types = {value.name: value.type.tensor_type.elem_type for value in model.graph.value_info}
    types |= {constant.name: constant.data_type for constant in model.graph.initializer}
    inner, decoding = [], []
    for node in model.graph.node:
        if node.op_type == "Conv":
            (decoding if "dfl" in node.name else inner).append(types[node.input[1]])
    assert set(inner) == {TensorProto.FLOAT16}
    assert len(inner) > 8
    assert decoding == [TensorProto.FLOAT]
    (images,), (raw,) = model.graph.input, model.graph.output
    assert images.type.tensor_type.elem_type == raw.type.tensor_type.elem_type == TensorProto.FLOAT
    smaller = (graphs / "fp16.onnx").stat().st_size / (graphs / "fp32.onnx").stat().st_size
    assert 0.4 < smaller < 0.7


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_rewritten_graph_takes_any_batch(graphs, images, precision):
    together = answer(graphs / f"{precision}.onnx", images[:3])
    alone = np.concatenate([answer(graphs / f"{precision}.onnx", image[None]) for image in images[:3]])
    np.testing.assert_allclose(together, alone, atol=0.05)


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here: engines are built")
def test_without_a_gpu_nothing_is_built_or_opened_and_the_reason_names_the_hardware(graphs):
    said = json.loads((graphs / "said.json").read_text())
    reason = "there is no GPU here, and the engine is one for sm_90"
    for precision in ("fp16", "int8"):
        assert said[precision] == f"tensorrt-{precision}-sm_90 can't be built on this machine: {reason}"
        assert said[f"opened {precision}"] == reason


def test_an_engine_is_asked_for_one_to_eight_images_and_for_all_digits_of_float32(tmp_path):
    graph = tmp_path / "graph.onnx"
    graph.write_bytes(b"a graph")
    trt = DocumentedTensorRt()
    assert build_engine(trt, graph, (3, 640, 640)) == b"an engine of a graph"
    (config,) = trt.configs
    (profile,) = config.profiles
    assert profile.shapes == {"images": ((1, 3, 640, 640), (4, 3, 640, 640), (8, 3, 640, 640))}
    assert config.flags == set()  # TF32 is on unless it is cleared


def test_an_engine_that_takes_bytes_is_asked_for_images_of_their_shape(tmp_path):
    graph = tmp_path / "graph.onnx"
    graph.write_bytes(b"a graph")
    trt = DocumentedTensorRt()
    build_engine(trt, graph, (640, 640, 3))
    assert trt.configs[0].profiles[0].shapes["images"][0] == (1, 640, 640, 3)


def test_a_graph_that_tensorrt_can_not_read_is_refused_with_its_words(tmp_path):
    graph = tmp_path / "graph.onnx"
    graph.write_bytes(b"")
    with pytest.raises(
        UnbuildableError, match=r"can't read graph.onnx: In node 7: unsupported; In node 9: unsupported"
    ):
        build_engine(DocumentedTensorRt(), graph, (3, 640, 640))


def test_an_engine_that_is_not_made_is_told(tmp_path):
    graph = tmp_path / "graph.onnx"
    graph.write_bytes(b"too large")
    with pytest.raises(UnbuildableError, match=r"makes no engine of graph.onnx"):
        build_engine(DocumentedTensorRt(), graph, (3, 640, 640))


class Elsewhere(Machine):
    """Another machine."""

    def __init__(self, gpu: str | None, trt: str | None) -> None:
        self._gpu, self._trt = gpu, trt

    def architecture(self) -> str | None:
        return self._gpu

    def tensorrt(self) -> DocumentedTensorRt | None:
        return DocumentedTensorRt(self._trt) if self._trt else None


@pytest.mark.parametrize(
    ("gpu", "trt", "lacking"),
    [
        ("sm_90", "11.4.0", None),
        (None, "11.4.0", "there is no GPU here, and the engine is one for sm_90"),
        ("sm_89", "11.4.0", "the GPU here is sm_89, and the engine is one for sm_90"),
        ("sm_90", None, "the package tensorrt is not installed here"),
        ("sm_90", "10.9.0", "TensorRT 10.9.0 is installed here, and from 11 on networks are strongly typed"),
    ],
    ids=["all-there", "no-gpu", "another-gpu", "no-library", "old-library"],
)
def test_what_is_lacking_for_an_engine_is_told(gpu, trt, lacking):
    assert Elsewhere(gpu, trt).lacking("sm_90") == lacking


def answer(graph: Path, images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(graph)
    return session.run(["output0"], {"images": images})[0]
