"""Proves files that answer wrongly; run as a program: ultralytics stays out of the tests' own process.

python proving_wrong.py SPEC.json    leaves proofs.json in the spec's out_dir
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from exporter.engine.contract import ExportSpec
from labelstream_yolo.offline import prepare_ultralytics

SHIFT_PX = 12.0  # of an all white image


@dataclass
class Changed:
    """A runner whose answers somebody changes."""

    inner: Any
    change: Callable[[np.ndarray], np.ndarray]
    batch: int | None = None

    def run(self, images: np.ndarray) -> np.ndarray:
        return self.change(np.array(self.inner.run(images)))


def first_row_only(answer: np.ndarray) -> np.ndarray:
    answer[1:] = 0
    return answer


def last_row_of_another(answer: np.ndarray) -> np.ndarray:
    answer[-1] = answer[0]
    return answer


def not_a_number(answer: np.ndarray) -> np.ndarray:
    return answer * np.float32("nan")


def half_sure(answer: np.ndarray) -> np.ndarray:
    answer[:, 4:] *= 0.9
    return answer


def shifted(path: Path, out: Path) -> Path:
    """Move every box to the right, the more the brighter the image is."""
    model = onnx.load(path)
    graph = model.graph
    raw = graph.output[0].name
    by = np.zeros((1, graph.output[0].type.tensor_type.shape.dim[1].dim_value, 1), np.float32)
    by[0, 0] = SHIFT_PX
    graph.initializer.append(numpy_helper.from_array(by, "by"))
    graph.initializer.append(numpy_helper.from_array(np.array([1, 2, 3]), "all but the batch"))
    graph.node.append(helper.make_node("ReduceMean", ["images", "all but the batch"], ["four axes"], keepdims=0))
    graph.initializer.append(numpy_helper.from_array(np.array([1, 2]), "axes"))
    graph.node.append(helper.make_node("Unsqueeze", ["four axes", "axes"], ["bright"]))
    graph.node.append(helper.make_node("Mul", ["bright", "by"], ["moved"]))
    graph.node.append(helper.make_node("Add", [raw, "moved"], ["shifted"]))
    graph.output.pop()
    graph.output.append(helper.make_tensor_value_info("shifted", TensorProto.FLOAT, None))
    onnx.save(model, out)
    return out


def main(spec: ExportSpec) -> None:
    spec.out_dir.mkdir(parents=True, exist_ok=True)
    prepare_ultralytics(spec.out_dir / "ultralytics", threads=1)
    from exporter.engine.adapters.contract import BuildOrder, UnbuildableError  # noqa: PLC0415  # after the preparation
    from exporter.engine.adapters.onnx import Onnx, OnnxRunner  # noqa: PLC0415
    from exporter.engine.detecting import Asking  # noqa: PLC0415
    from exporter.engine.proving import Question, prove  # noqa: PLC0415
    from labelstream.formats import Format  # noqa: PLC0415
    from labelstream_yolo.architecture import read_architecture  # noqa: PLC0415
    from labelstream_yolo.weights import load_model  # noqa: PLC0415

    architecture = read_architecture(spec.architecture)
    model = load_model(spec.weights, architecture)
    asking = Asking(model, architecture.image_size, spec.iou, spec.out_dir)
    trained = tuple(asking.trained([image.path for image in spec.images]))
    question = Question(spec.images, trained, spec.confidence, architecture.names, architecture.image_size)
    built = Onnx().build(BuildOrder(model, architecture, Format.parse("onnx-fp32"), spec.out_dir))
    whole = OnnxRunner(built.artifact, None)
    runners = {
        "whole": whole,
        "shifted": OnnxRunner(shifted(built.artifact, spec.out_dir / "shifted.onnx"), None),
        "first row only": Changed(whole, first_row_only),
        "first row of four only": Changed(whole, first_row_only, batch=4),
        "last row of another": Changed(whole, last_row_of_another, batch=4),
        "not a number": Changed(whole, not_a_number),
        "half sure": Changed(whole, half_sure),
    }
    proofs: dict[str, Any] = {}
    for name, runner in runners.items():
        folder = spec.out_dir / name
        folder.mkdir()
        agreement, picture = prove(question, asking, built, runner, folder)
        proofs[name] = agreement.model_dump() | {"picture": str(picture)}
    try:
        prove(question, asking, built, Changed(whole, lambda answer: answer[:1]), spec.out_dir)
    except UnbuildableError as error:
        proofs["too few"] = str(error)
    (spec.out_dir / "proofs.json").write_text(json.dumps(proofs))


if __name__ == "__main__":
    main(ExportSpec.model_validate_json(Path(sys.argv[1]).read_bytes()))
