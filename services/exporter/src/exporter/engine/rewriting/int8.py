"""A float graph to one that computes in eight bits, with ranges taken from images.

onnxruntime's own quantiser does it: it is installed anyway, needs no torch, and both onnxruntime and OpenVINO run what
it writes (QuantizeLinear and DequantizeLinear around each operator); nncf and modelopt would be large packages more.

What turns the head's last layers into boxes and scores stays in float, and so do those layers. Measured on trained
detectors of drawn scenes and of blood cells: with everything in eight bits, 7 and 12 points of mAP50-95 are lost; so,
half a point at most. All other operators are quantised: with convolutions alone, onnxruntime is slower than in float.
Ranges by percentile instead of least and most gained nothing, and hold every tensor of every image in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

from exporter.engine.adapters.contract import Floats
from exporter.engine.cutting import cuts_in


def quantize_int8(graph: Path, tensors: Iterable[Floats], out: Path) -> None:
    """Write `graph`, whose output is raw, with its layers in eight bits; `tensors` (1, 3, side, side) give the ranges.

    Weights have a scale a channel. `out` may be `graph`. The same graph, tensors and libraries give the same bytes.
    TensorRT wants another form: `int8_symmetric`.
    """
    model = onnx.load(graph)
    (images,) = model.graph.input
    quantize_static(
        model,
        out,
        Reader(images.name, images.type.tensor_type.shape.dim[0].dim_value or 1, tensors),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=in_float(model),
        calibrate_method=CalibrationMethod.MinMax,
    )
    describe_like(model, out)


def describe_like(model: Any, out: Path) -> None:
    """Give what the quantiser wrote the properties of the graph that it was made of."""
    written = onnx.load(out)
    del written.metadata_props[:]
    written.metadata_props.extend(model.metadata_props)
    written.ir_version = model.ir_version
    onnx.save(written, out)


def in_float(model: Any) -> list[str]:
    """Return the names of the nodes from the head's last convolutions to the output."""
    cuts = cuts_in(model)
    tensors = {*cuts.decoding, *cuts.of_boxes, *cuts.of_scores}
    return [node.name for node in model.graph.node if tensors & set(node.output)]


class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime is untyped
    """Gives one image at a time, as often as the graph wants images at once."""

    def __init__(self, name: str, batch: int, tensors: Iterable[Floats]) -> None:
        self._name, self._batch = name, batch
        self._tensors: Iterator[Floats] = iter(tensors)

    def get_next(self) -> dict[str, Floats] | None:
        """Return the next input, or None at the end."""
        tensor = next(self._tensors, None)
        return None if tensor is None else {self._name: np.repeat(tensor, self._batch, axis=0)}
