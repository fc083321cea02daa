"""A float graph to one that computes in half precision, except for the decoding of its boxes.

onnxruntime's own converter does it: it is installed anyway, and agrees. It can't leave single nodes out without writing
graphs that are not valid, so the decoding is taken off before and put back afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import onnx
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from exporter.engine.cutting import cuts_in

_OWN = "_in_float32"  # a constant that both parts of a graph use is there twice


def to_fp16(graph: Path, out: Path) -> None:
    """Rewrite `graph` to `out`: float16 up to the last convolutions, float32 in its input, decoding and output.

    Every tensor's type stands in the graph, as strongly typed networks need it. Raises UnbuildableError.
    """
    model = onnx.load(graph)
    cuts = cuts_in(model)
    decoding = [node for node in model.graph.node if cuts.decoding.issuperset(node.output)]
    constants = _constants_of(model, decoding)
    outputs = list(model.graph.output)
    _keep(model, [node for node in model.graph.node if node not in decoding], [*cuts.of_boxes, *cuts.of_scores])
    half = OnnxModel(convert_float_to_float16(model, keep_io_types=True))
    _put_back(half.model, decoding, constants, outputs)
    half.topological_sort()
    onnx.checker.check_model(half.model, full_check=True)
    onnx.save(half.model, out)


def _constants_of(model: Any, nodes: Iterable[Any]) -> list[Any]:
    used = {name for node in nodes for name in node.input}
    return [constant for constant in model.graph.initializer if constant.name in used]


def _keep(model: Any, nodes: list[Any], outputs: list[str]) -> None:
    """Leave these nodes alone in the graph, with these tensors as its outputs."""
    _replace(model.graph.node, nodes)
    _replace(model.graph.initializer, _constants_of(model, nodes))
    _replace(model.graph.output, [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in outputs])
    _replace(model.graph.value_info, [])


def _put_back(model: Any, nodes: list[Any], constants: list[Any], outputs: list[Any]) -> None:
    taken = {constant.name for constant in model.graph.initializer}
    own = {constant.name: constant.name + _OWN for constant in constants if constant.name in taken}
    for constant in constants:
        constant.name = own.get(constant.name, constant.name)
    for node in nodes:
        _replace(node.input, [own.get(name, name) for name in node.input])
    model.graph.initializer.extend(constants)
    model.graph.node.extend(nodes)
    _replace(model.graph.output, outputs)
    _replace(model.graph.value_info, [])


def _replace(field: Any, content: list[Any]) -> None:
    del field[:]
    field.extend(content)
