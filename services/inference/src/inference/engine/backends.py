"""The runtimes of this machine, each loaded when the first artifact asks for it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from inference.engine.adapters.contract import Backend
from inference.engine.machine import Machine
from labelstream.bundle import ArtifactFacts


def _onnx(machine: Machine) -> Backend:
    from inference.engine.adapters.onnx import Onnx  # noqa: PLC0415  # a runtime takes tens of megabytes

    return Onnx(machine)


def _openvino(machine: Machine) -> Backend:
    from inference.engine.adapters.openvino import OpenVino  # noqa: PLC0415  # likewise

    return OpenVino(machine)


def _tensorrt(machine: Machine) -> Backend:
    from inference.engine.adapters.tensorrt import TensorRt  # noqa: PLC0415  # likewise

    return TensorRt(machine)


RUNTIMES: Mapping[str, tuple[str, Callable[[Machine], Backend]]] = {
    "onnx": ("onnxruntime", _onnx),
    "openvino": ("openvino", _openvino),
    "tensorrt": ("tensorrt", _tensorrt),
}


@dataclass
class Backends:
    """One backend for each family of artifacts."""

    machine: Machine
    loaded: dict[str, Backend] = field(default_factory=dict)

    def lacking(self, artifact: ArtifactFacts) -> str | None:
        """Say why an artifact can't be run here; None when nothing stands against it."""
        if artifact.format in self.loaded:
            return self.loaded[artifact.format].lacking(artifact)
        if artifact.format not in RUNTIMES:
            return f"nothing here runs {artifact.format}"
        package, _ = RUNTIMES[artifact.format]
        if importlib.util.find_spec(package) is None:
            return f"the package {package} is not installed here"
        return self.of(artifact).lacking(artifact)

    def of(self, artifact: ArtifactFacts) -> Backend:
        """Return the backend of an artifact that is not lacking anything."""
        if artifact.format not in self.loaded:
            _, load = RUNTIMES[artifact.format]
            self.loaded[artifact.format] = load(self.machine)
        return self.loaded[artifact.format]
