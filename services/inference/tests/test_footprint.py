"""Inference runs where no training library is installed."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires

import pytest
from packaging.requirements import Requirement

BANNED = {"torch", "torchvision", "ultralytics", "onnx"}


def needed(package: str, extras: frozenset[str], seen: dict[tuple[str, frozenset[str]], None]) -> None:
    """Collect what a package needs, and what that needs."""
    if (package, extras) in seen:
        return
    seen[package, extras] = None
    try:
        lines = requires(package) or []
    except PackageNotFoundError:  # for another platform
        return
    for line in lines:
        wanted = Requirement(line)
        if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in (*extras, "")):
            needed(re.sub(r"[-_.]+", "-", wanted.name).lower(), frozenset(wanted.extras), seen)


def test_its_requirements_hold_no_training_library() -> None:
    seen: dict[tuple[str, frozenset[str]], None] = {}
    needed("inference", frozenset({"cpu"}), seen)
    names = {name for name, _ in seen}
    assert {"onnxruntime", "openvino", "fastapi", "pyrage", "model-signing"} <= names, "the walk itself must work"
    assert not names & BANNED


RUNTIMES = {"inference.engine.adapters.onnx": "onnxruntime", "inference.engine.adapters.openvino": "openvino"}


@pytest.mark.parametrize("module", ["inference.app", "inference.__main__", *RUNTIMES])
def test_its_imports_load_no_training_library(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "inference" in loaded, "the look itself must work"
    assert loaded & set(RUNTIMES.values()) == {runtime for name, runtime in RUNTIMES.items() if name == module}
    assert not loaded & (BANNED | {"openvino_telemetry"})


def test_the_annotating_worker_loads_neither_an_engine_nor_an_image_library() -> None:
    code = "import sys, inference.annotating.app; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "httpx" in loaded
    assert not loaded & (BANNED | {"onnxruntime", "openvino", "tensorrt", "numpy", "cv2", "PIL", "av"})
