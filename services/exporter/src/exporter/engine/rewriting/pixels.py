"""A graph that takes floats to one that takes pixels as decoders and cameras give them: bytes, blue first, by rows.

What a service did to each image before (a float for each byte, a division by 255, red first, planes instead of pixels)
goes into the graph, and there into the first convolution's weights, where it costs nothing: they are divided by 255 and
their channels swapped. What is left is a cast and a transposition.

In eight bits nothing is left of the cast either: the bytes are the convolution's quantised input, at a scale of one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

CASTED, PIXELS = "pixels_as_floats", "pixels_in_planes"  # tensors; (b, side, side, 3) and (b, 3, side, side), 0 to 255
FRONT = ("pixels/cast", "pixels/transpose")  # nodes that a quantiser is to leave alone
BYTE_RANGE = {"rmin": np.float32(0), "rmax": np.float32(255)}  # of PIXELS: eight bits at a scale of 1
_SWAPPED, _SCALED = "pixels_red_first", "pixels_to_one"  # tensors, where there is nothing to fold into
_ORDER, _BY = "pixels_order", "pixels_by"  # constants for these


def take_pixels(model: Any) -> None:
    """Rewrite `model`, whose input is (b, 3, side, side), RGB, 0 to 1, to take (b, side, side, 3), BGR, uint8."""
    (images,) = model.graph.input
    readers = [node for node in model.graph.node if images.name in node.input]
    front = [
        helper.make_node("Cast", [images.name], [CASTED], FRONT[0], to=TensorProto.FLOAT),
        helper.make_node("Transpose", [CASTED], [PIXELS], FRONT[1], perm=[0, 3, 1, 2]),
    ]
    weights = _own_weights(model, readers)
    if weights is not None:
        _fold(weights)
        given = PIXELS
    else:
        front += _scaling(model)
        given = _SCALED
    for node in readers:
        node.input[:] = [given if name == images.name else name for name in node.input]
    _put_first(model, front)
    batch, channels, height, width = images.type.tensor_type.shape.dim
    shape = [batch.dim_param or batch.dim_value, height.dim_value, width.dim_value, channels.dim_value]
    images.CopyFrom(helper.make_tensor_value_info(images.name, TensorProto.UINT8, shape))


def takes_pixels(model: Any) -> bool:
    """Say whether the first convolution of `model` reads pixels from 0 to 255."""
    return any(PIXELS in node.input and node.op_type == "Conv" for node in model.graph.node)


def read_bytes(model: Any) -> None:
    """Let the first convolution of a quantised `model` read the bytes themselves.

    The quantiser, told that they range from 0 to 255, rounds their floats to the very same bytes: that is left out.
    """
    nodes = {node.output[0]: node for node in model.graph.node}
    steps = [node for node in model.graph.node if node.op_type == "QuantizeLinear" and node.input[0] == PIXELS]
    if len(steps) != 1:
        return
    cast, transpose, quantize = nodes[CASTED], nodes[PIXELS], steps[0]
    transpose.input[0] = cast.input[0]
    transpose.output[0] = quantize.output[0]
    for node in (cast, quantize):
        model.graph.node.remove(node)
    for value in [each for each in model.graph.value_info if each.name in (CASTED, PIXELS)]:
        model.graph.value_info.remove(value)


def _own_weights(model: Any, readers: list[Any]) -> Any | None:
    """Return the weights of the one convolution that reads the images, when nothing else uses them."""
    if len(readers) != 1 or readers[0].op_type != "Conv":
        return None
    name = readers[0].input[1]
    used = sum(list(node.input).count(name) for node in model.graph.node)
    return next(
        (each for each in model.graph.initializer if each.name == name and used == 1 and each.dims[1] == 3), None
    )


def _fold(weights: Any) -> None:
    kernel = numpy_helper.to_array(weights)  # (filters, 3, height, width)
    folded = np.ascontiguousarray(kernel[:, ::-1].astype(np.float64) / 255).astype(kernel.dtype)
    weights.CopyFrom(numpy_helper.from_array(folded, weights.name))


def _scaling(model: Any) -> list[Any]:
    """Return what does the same to the images themselves."""
    order, by = np.array([2, 1, 0], np.int64), np.array(1 / 255, np.float32)
    model.graph.initializer.extend([numpy_helper.from_array(order, _ORDER), numpy_helper.from_array(by, _BY)])
    return [
        helper.make_node("Gather", [PIXELS, _ORDER], [_SWAPPED], "pixels/swap", axis=1),
        helper.make_node("Mul", [_SWAPPED, _BY], [_SCALED], "pixels/scale"),
    ]


def _put_first(model: Any, nodes: list[Any]) -> None:
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *rest])
