"""The public API is a small program: what it has no business with is not even there."""

from __future__ import annotations

import subprocess
import sys

FOREIGN = ("torch", "ultralytics", "onnx", "onnxruntime", "openvino", "cv2", "numpy", "model_signing")
OF_OTHERS = ("exporter.exporting", "exporter.engine", "exporter.registry", "exporter.twin", "exporter.access.vault")


def test_it_loads_no_library_that_runs_models_and_nothing_that_holds_keys_of_them():
    program = "import exporter.delivery.serving, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    assert "exporter.delivery.serving" in loaded
    unwanted = {*FOREIGN, *OF_OTHERS}
    assert [name for name in loaded if any(f"{name}.".startswith(f"{each}.") for each in unwanted)] == []
