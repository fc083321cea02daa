"""Writes a trained network's graph and what TensorRT is to read; run as a program: ultralytics stays out of the tests.

python rewriting_graphs.py LEARNED OUT    leaves fp32.onnx, fp16.onnx, int8.onnx and said.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from labelstream.formats import Format
from labelstream_yolo.architecture import read_architecture
from labelstream_yolo.offline import prepare_ultralytics


def main(learned: Path, out: Path) -> None:
    prepare_ultralytics(out / "ultralytics", threads=1)
    from exporter.engine.adapters.contract import BuildOrder, Built, UnbuildableError  # noqa: PLC0415
    from exporter.engine.adapters.graph import export_graph, facts  # noqa: PLC0415
    from exporter.engine.adapters.tensorrt import TensorRt, rewritten  # noqa: PLC0415
    from labelstream_yolo.weights import load_model  # noqa: PLC0415

    architecture = read_architecture(learned / "architecture.json")
    model = load_model(learned / "weights.safetensors", architecture)
    images = tuple(sorted((learned / "train" / "images").iterdir()))[:32]
    said = {}
    for precision in ("fp16", "int8"):
        wanted = Format.parse(f"tensorrt-{precision}-sm_90")
        order = BuildOrder(model, architecture, wanted, out, calibration=images)
        rewritten(order).rename(out / f"{precision}.onnx")
        export_graph(order, out / "fp32.onnx")
        try:
            TensorRt().build(order)
        except UnbuildableError as error:
            said[precision] = str(error)
        said[f"opened {precision}"] = TensorRt().open(Built(out / "fp32.onnx", facts(order), out))
    (out / "said.json").write_text(json.dumps(said))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
