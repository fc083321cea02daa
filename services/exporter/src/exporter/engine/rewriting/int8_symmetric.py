"""A float graph to one whose convolutions compute in eight bits, in the one form that TensorRT reads.

Zero is at 0 everywhere and biases stay in float. Only what goes into a convolution is rounded, so that TensorRT can
fuse the convolution with what follows it. On trained detectors that was also the more exact form: with every operator's
output rounded symmetrically, 49 of 1021 blood cells had no partner among those of the trained weights; so, 34.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

from exporter.engine.adapters.contract import Floats
from exporter.engine.cutting import cuts_in

_ROUNDED = "Conv"  # what computes in eight bits


def quantize_symmetric(graph: Path, tensors: Iterable[Floats], out: Path) -> None:
    """Write `graph`, whose batch is free, with eight bits up to the last convolutions; `tensors` give the ranges.

    Weights have a scale a channel. `out` may be `graph`. The same graph, tensors and libraries give the same bytes.
    """
    model = onnx.load(graph)
    (images,) = model.graph.input
    cuts = cuts_in(model)
    last = {*cuts.decoding, *cuts.of_boxes, *cuts.of_scores}
    quantize_static(
        onnx.load(graph),
        out,
        _Reader(images.name, tensors),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=[_ROUNDED],
        per_channel=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=[node.name for node in model.graph.node if last & set(node.output)],
        calibrate_method=CalibrationMethod.MinMax,
        extra_options={
            "ActivationSymmetric": True,
            "QuantizeBias": False,
            "OpTypesToExcludeOutputQuantization": [_ROUNDED],
        },
    )
    written = onnx.load(out)
    written.ir_version = model.ir_version
    del written.metadata_props[:]
    written.metadata_props.extend(model.metadata_props)
    onnx.save(written, out)


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime is untyped
    """Gives one image at a time."""

    def __init__(self, name: str, tensors: Iterable[Floats]) -> None:
        self._name = name
        self._tensors: Iterator[Floats] = iter(tensors)

    def get_next(self) -> dict[str, Floats] | None:
        """Return the next input, or None at the end."""
        tensor = next(self._tensors, None)
        return None if tensor is None else {self._name: tensor}
