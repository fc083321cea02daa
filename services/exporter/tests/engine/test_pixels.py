"""Graphs that take bytes, rewritten from small ones that take floats."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from exporter.engine.adapters.contract import BGR_INPUT, FLOAT_INPUT, RGB_INPUT
from exporter.engine.feeding import fed
from exporter.engine.rewriting.fp16 import to_fp16
from exporter.engine.rewriting.int8 import quantize_int8
from exporter.engine.rewriting.int8_convolutions import quantize_convolutions
from exporter.engine.rewriting.pixels import take_pixels

SIDE = 8
RNG = np.random.default_rng(11)
PIXELS = RNG.integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)  # blue, green, red
FLOATS = np.ascontiguousarray(PIXELS[..., ::-1].transpose(0, 3, 1, 2)).astype(np.float32) / np.float32(255)
KERNEL = RNG.normal(0, 0.5, (8, 3, 3, 3)).astype(np.float32)


def detector(*before: Any, reads: str = "images", **more: np.ndarray) -> Any:
    """Return a head behind one convolution of `reads`; `before`: nodes that stand in front, with constants `more`."""
    nodes = [
        *before,
        helper.make_node("Conv", [reads, "kernel", "bias"], ["stem out"], "stem", kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("Relu", ["stem out"], ["features"], "relu"),
        helper.make_node("Conv", ["features", "of boxes"], ["boxes out"], "boxes", kernel_shape=[1, 1]),
        helper.make_node("Conv", ["features", "of scores"], ["scores out"], "scores", kernel_shape=[1, 1]),
        helper.make_node("Reshape", ["boxes out", "flat"], ["flat boxes"], "flat boxes"),
        helper.make_node("Reshape", ["scores out", "flat"], ["flat scores"], "flat scores"),
        helper.make_node("Sigmoid", ["flat scores"], ["likely"], "likely"),
        helper.make_node("Concat", ["flat boxes", "likely"], ["output0"], "join", axis=1),
    ]
    weights = {
        "kernel": KERNEL,
        "bias": np.linspace(-0.2, 0.2, 8, dtype=np.float32),
        "of boxes": RNG.normal(0, 0.3, (4, 8, 1, 1)).astype(np.float32),
        "of scores": RNG.normal(0, 0.3, (2, 8, 1, 1)).astype(np.float32),
        "flat": np.array([0, 0, -1], np.int64),
    } | more
    constants = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])
    raw = helper.make_tensor_value_info("output0", TensorProto.FLOAT, ["batch", 6, SIDE * SIDE])
    model = helper.make_model(
        helper.make_graph(nodes, "head", [images], [raw], constants), opset_imports=[helper.make_opsetid("", 18)]
    )
    model.ir_version = 10
    return model


def taking_pixels(model: Any) -> Any:
    rewritten = onnx.ModelProto.FromString(model.SerializeToString())
    take_pixels(rewritten)
    onnx.checker.check_model(rewritten, full_check=True)
    return rewritten


def answer(model: Any, images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"images": images})[0]


def one_by_one(images: np.ndarray) -> Iterator[np.ndarray]:
    return iter(images[:, None])


def test_bytes_are_answered_as_their_floats_are_and_nothing_but_a_cast_and_a_transposition_is_added():
    model = detector()
    rewritten = taking_pixels(model)
    np.testing.assert_allclose(answer(rewritten, PIXELS), answer(model, FLOATS), atol=1e-5)
    added = [node.op_type for node in rewritten.graph.node[: -len(model.graph.node)]]
    assert added == ["Cast", "Transpose"]
    (images,) = rewritten.graph.input
    shape = [each.dim_param or each.dim_value for each in images.type.tensor_type.shape.dim]
    assert (images.type.tensor_type.elem_type, shape) == (TensorProto.UINT8, ["batch", SIDE, SIDE, 3])


def test_a_graph_for_exactly_so_many_images_stays_one():
    model = detector()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 3
    shape = taking_pixels(model).graph.input[0].type.tensor_type.shape
    assert [each.dim_value for each in shape.dim] == [3, SIDE, SIDE, 3]


@pytest.mark.parametrize(
    "model",
    [
        detector(helper.make_node("Relu", ["images"], ["first"]), reads="first"),
        detector(helper.make_node("Mul", ["kernel", "two"], ["double"]), two=np.array(2, np.float32)),
        detector(
            helper.make_node("Identity", ["images"], ["same"]),
            helper.make_node("Add", ["same", "images"], ["sum"]),
            reads="sum",
        ),
    ],
    ids=["another-operator-reads-them", "the-weights-are-used-twice", "they-are-read-twice"],
)
def test_where_there_is_no_convolution_of_their_own_to_fold_into_bytes_are_answered_rightly_too(model):
    rewritten = taking_pixels(model)
    np.testing.assert_allclose(answer(rewritten, PIXELS), answer(model, FLOATS), atol=1e-5)
    kernel = next(each for each in rewritten.graph.initializer if each.name == "kernel")
    np.testing.assert_array_equal(numpy_helper.to_array(kernel), KERNEL)


QUANTISERS = pytest.mark.parametrize(
    "quantize",
    [quantize_int8, partial(quantize_convolutions, symmetric=False)],
    ids=["every-operator", "convolutions"],
)


@QUANTISERS
def test_in_eight_bits_the_first_convolution_reads_the_bytes_themselves(tmp_path, quantize):
    path = tmp_path / "graph.onnx"
    onnx.save(taking_pixels(detector()), path)
    quantize(path, one_by_one(PIXELS // 2), path)  # images that are dark throughout
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    steps = {name: node for node in model.graph.node for name in node.input}
    transpose = steps["images"]
    dequantize = steps[transpose.output[0]]
    constants = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    assert (transpose.op_type, dequantize.op_type) == ("Transpose", "DequantizeLinear")
    assert [constants[name].item() for name in dequantize.input[1:]] == [1.0, 0]
    assert steps[dequantize.output[0]].op_type == "Conv"
    assert "Cast" not in {node.op_type for node in model.graph.node}


@QUANTISERS
def test_in_eight_bits_bytes_are_answered_at_least_as_well_as_floats(tmp_path, quantize):
    model = detector()
    exact = answer(model, FLOATS)
    off = {}
    for name, graph, images in (("floats", model, FLOATS), ("bytes", taking_pixels(model), PIXELS)):
        onnx.save(graph, tmp_path / f"{name}.onnx")
        quantize(tmp_path / f"{name}.onnx", one_by_one(images), tmp_path / f"{name}.onnx")
        off[name] = np.abs(answer(onnx.load(tmp_path / f"{name}.onnx"), images) - exact).mean()
    assert 0 < off["bytes"] < 1.1 * off["floats"]


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_what_tensorrt_is_to_read_takes_bytes_and_casts_them_before_anything_else(tmp_path, precision):
    model, path = detector(), tmp_path / "graph.onnx"
    onnx.save(taking_pixels(model), path)
    if precision == "fp16":
        to_fp16(path, path)
    else:
        quantize_convolutions(path, one_by_one(PIXELS), path, symmetric=True)
    rewritten = onnx.load(path)
    assert [node.op_type for node in rewritten.graph.node if "images" in node.input] == ["Cast"]
    assert rewritten.graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8
    apart = np.abs(answer(rewritten, PIXELS) - answer(model, FLOATS))
    assert 0 < apart.max() < 0.05


@pytest.mark.parametrize("channels", [slice(None), slice(None, None, -1)], ids=["red-first", "blue-first"])
def test_images_are_fed_as_the_bytes_that_they_were_made_of(channels):
    every = np.arange(256 * 3, dtype=np.uint8).reshape(1, 16, 16, 3)  # red first
    floats = every.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
    taken = RGB_INPUT if channels.step is None else BGR_INPUT
    given = fed(floats, taken)
    np.testing.assert_array_equal(given, every[..., channels])
    assert given.flags["C_CONTIGUOUS"]
    assert fed(floats, FLOAT_INPUT) is floats


def test_the_same_graph_gives_the_same_bytes(tmp_path: Path):
    model = detector()
    assert taking_pixels(model).SerializeToString() == taking_pixels(model).SerializeToString()
