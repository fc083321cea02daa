"""One adapter for each family of formats; each is loaded when it is asked for, as not every machine has its libraries.

contract.py     what an adapter does
graph.py        trained weights to ONNX, with which most begin
onnx.py         run by onnxruntime
openvino.py     run by OpenVINO; packing.py makes one file of its two
torchscript.py  run by torch
tensorrt.py     built and run on a GPU
rknn.py         built, and simulated, by the NPU's own toolkit in its own environment
"""

from __future__ import annotations

import importlib
from typing import cast

from exporter.engine.adapters.contract import Adapter
from labelstream.formats import Family

_CLASSES: dict[Family, str] = {
    "onnx": "Onnx",
    "openvino": "OpenVino",
    "torchscript": "TorchScript",
    "tensorrt": "TensorRt",
    "rknn": "Rknn",
}


def adapter_of(family: Family) -> Adapter:
    """Return the family's adapter. Raises ImportError where its libraries are missing."""
    module = importlib.import_module(f"{__name__}.{family}")
    return cast(Adapter, getattr(module, _CLASSES[family])())
