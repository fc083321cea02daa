"""A float graph to one that computes in eight bits, with ranges taken from images.

onnxruntime's own quantiser does it: it is installed anyway, needs no torch, and every runtime here reads what it writes
(QuantizeLinear and DequantizeLinear); nncf and modelopt would be large packages more.

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

from exporter.engine.adapters.contract import Images
from exporter.engine.cutting import cuts_in
from exporter.engine.rewriting.pixels import BYTE_RANGE, FRONT, PIXELS, read_bytes, takes_pixels


def quantize_int8(graph: Path, tensors: Iterable[Images], out: Path) -> None:
    """Write `graph`, whose output is raw, with its layers in eight bits; `tensors` (one image each) give the ranges.

    Weights have a scale a channel. `out` may be `graph`. The same graph, tensors and libraries give the same bytes.
    OpenVINO and TensorRT are faster with another form: `int8_convolutions`.
    """
    model = onnx.load(graph)
    (images,) = model.graph.input
    bytes_in = takes_pixels(model)
    quantize_static(
        model,
        out,
        Reader(images.name, images.type.tensor_type.shape.dim[0].dim_value or 1, tensors),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=[*in_float(model), *FRONT],
        calibrate_method=CalibrationMethod.MinMax,
        extra_options={"TensorQuantOverrides": {PIXELS: [BYTE_RANGE]}} if bytes_in else None,
    )
    written = onnx.load(out)
    if bytes_in:
        read_bytes(written)
    describe_like(model, written)
    onnx.save(written, out)


def describe_like(model: Any, written: Any) -> None:
    """Give what the quantiser wrote the properties of the graph that it was made of."""
    del written.metadata_props[:]
    written.metadata_props.extend(model.metadata_props)
    written.ir_version = model.ir_version


def in_float(model: Any) -> list[str]:
    """Return the names of the nodes from the head's last convolutions to the output."""
    cuts = cuts_in(model)
    tensors = {*cuts.decoding, *cuts.of_boxes, *cuts.of_scores}
    return [node.name for node in model.graph.node if tensors & set(node.output)]


class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime is untyped
    """Gives one image at a time, as often as the graph wants images at once."""

    def __init__(self, name: str, batch: int, tensors: Iterable[Images]) -> None:
        self._name, self._batch = name, batch
        self._tensors: Iterator[Images] = iter(tensors)

    def get_next(self) -> dict[str, Images] | None:
        """Return the next input, or None at the end."""
        tensor = next(self._tensors, None)
        if tensor is None:
            return None
        repeated: Images = np.repeat(tensor, self._batch, axis=0)  # type: ignore[assignment]  # of the type that it has
        return {self._name: repeated}
