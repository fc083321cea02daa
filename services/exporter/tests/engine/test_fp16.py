"""Half precision and where a graph is cut, on graphs written by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from exporter.engine.adapters.contract import UnbuildableError
from exporter.engine.cutting import cuts_of
from exporter.engine.rewriting.fp16 import to_fp16

ANCHORS = 16


@pytest.fixture
def graph(tmp_path) -> Path:
    """A head in small: one convolution for boxes and one for scores, which use the same constant while decoding."""
    rng = np.random.default_rng(3)
    weights = {
        "stem": rng.normal(0, 0.3, (8, 3, 3, 3)),
        "of boxes": rng.normal(0, 0.3, (4, 8, 1, 1)),
        "of scores": rng.normal(0, 0.3, (2, 8, 1, 1)),
        "stride": np.array([8.0]),
    }
    nodes = [
        helper.make_node("Conv", ["images", "stem"], ["stem out"], "stem", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Mul", ["stem out", "stride"], ["features"], "scale"),
        helper.make_node("Conv", ["features", "of boxes"], ["boxes out"], "boxes", kernel_shape=[1, 1]),
        helper.make_node("Conv", ["features", "of scores"], ["scores out"], "scores", kernel_shape=[1, 1]),
        helper.make_node("Reshape", ["boxes out", "flat"], ["flat boxes"], "flat boxes"),
        helper.make_node("Reshape", ["scores out", "flat"], ["flat scores"], "flat scores"),
        helper.make_node("Mul", ["flat boxes", "stride"], ["pixels"], "to pixels"),
        helper.make_node("Sigmoid", ["flat scores"], ["likely"], "likely"),
        helper.make_node("Concat", ["pixels", "likely"], ["output0"], "join", axis=1),
    ]
    constants = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    constants.append(numpy_helper.from_array(np.array([0, -1, ANCHORS], np.int64), "flat"))
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, 4, 4])
    raw = helper.make_tensor_value_info("output0", TensorProto.FLOAT, ["batch", 6, ANCHORS])
    model = helper.make_model(
        helper.make_graph(nodes, "head", [images], [raw], constants), opset_imports=[helper.make_opsetid("", 18)]
    )
    model.ir_version = 10
    helper.set_model_props(model, {"names": "kept"})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, tmp_path / "full.onnx")
    return tmp_path / "full.onnx"


def test_a_graph_is_cut_after_its_last_convolutions_and_before_boxes_and_scores_are_joined(graph):
    cuts = cuts_of(graph)
    assert (cuts.boxes, cuts.scores) == ("pixels", "likely")
    assert (cuts.of_boxes, cuts.of_scores) == (("boxes out",), ("scores out",))
    assert cuts.decoding == {"flat boxes", "flat scores", "pixels", "likely", "output0"}


def test_a_graph_with_another_end_is_refused(graph, tmp_path):
    model = onnx.load(graph)
    model.graph.node[-1].CopyFrom(helper.make_node("Identity", ["likely"], ["output0"], "end"))
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(UnbuildableError, match="no Concat of boxes and scores but Identity of 1"):
        cuts_of(tmp_path / "other.onnx")


def test_half_precision_ends_with_the_last_convolutions(graph, tmp_path):
    to_fp16(graph, tmp_path / "half.onnx")
    model = onnx.shape_inference.infer_shapes(onnx.load(tmp_path / "half.onnx"), strict_mode=True)
    kinds = {value.name: value.type.tensor_type.elem_type for value in model.graph.value_info}
    assert kinds["features"] == TensorProto.FLOAT16
    assert {kinds[name] for name in ("flat boxes", "flat scores", "pixels", "likely")} == {TensorProto.FLOAT}
    assert [value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)] == [1, 1]
    constants = {constant.name: constant.data_type for constant in model.graph.initializer}
    assert constants["stem"] == constants["stride"] == TensorProto.FLOAT16
    assert constants["stride_in_float32"] == TensorProto.FLOAT  # both parts use it, each in its own precision
    assert {prop.key: prop.value for prop in model.metadata_props} == {"names": "kept"}


def test_half_precision_agrees_with_full_precision_in_two_ways_of_computing(graph, tmp_path):
    to_fp16(graph, tmp_path / "half.onnx")
    images = np.random.default_rng(4).random((2, 3, 4, 4), dtype=np.float32)
    full = onnxruntime.InferenceSession(graph).run(None, {"images": images})[0]
    for half in (
        onnxruntime.InferenceSession(tmp_path / "half.onnx").run(None, {"images": images})[0],  # sums in float32
        ReferenceEvaluator(str(tmp_path / "half.onnx")).run(None, {"images": images})[0],  # sums in float16
    ):
        assert 0 < np.abs(half - full)[:, 4:].max() < 0.01
        assert 0 < np.abs(half - full)[:, :4].max() < 0.005 * np.abs(full[:, :4]).max()


def test_the_same_graph_gives_the_same_bytes_also_in_its_own_place(graph, tmp_path):
    to_fp16(graph, tmp_path / "half.onnx")
    to_fp16(graph, graph)
    assert graph.read_bytes() == (tmp_path / "half.onnx").read_bytes()
