"""The runtimes of this machine, each loaded when the first artifact asks for it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from inference.engine.adapters.contract import Backend
from inference.engine.machine import Machine
from inference.engine.outputs import SUPPRESSED
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


def _no_graph_for_openvino(artifact: ArtifactFacts) -> str | None:
    """Say why a graph that was proved in onnxruntime is left to it; of full precision it is the same sums."""
    if artifact.format == "onnx" and artifact.precision != "fp32":
        return f"OpenVINO runs ONNX in fp32 only, and this is {artifact.precision}"
    if artifact.format == "onnx" and artifact.output == SUPPRESSED:
        return "OpenVINO runs no ONNX that suppresses overlaps"
    return None


@dataclass(frozen=True)
class Runtime:
    """What runs networks, and the families of artifacts that it reads."""

    package: str
    families: tuple[str, ...]
    load: Callable[[Machine], Backend]
    lacking: Callable[[ArtifactFacts], str | None] = lambda _: None  # what is known before it is loaded


RuntimeName = Literal["openvino", "onnxruntime", "tensorrt"]
# The likely fastest come first.
RUNTIMES: Mapping[RuntimeName, Runtime] = MappingProxyType(
    {
        "tensorrt": Runtime("tensorrt", ("tensorrt",), _tensorrt),
        "openvino": Runtime("openvino", ("openvino", "onnx"), _openvino, _no_graph_for_openvino),
        "onnxruntime": Runtime("onnxruntime", ("onnx",), _onnx),
    }
)


@dataclass
class Backends:
    """The backends of this machine, by the name of their runtime."""

    machine: Machine
    loaded: dict[RuntimeName, Backend] = field(default_factory=dict)
    only: Sequence[RuntimeName] = ()  # use only these; none: all

    def lacking(self, artifact: ArtifactFacts) -> str | None:
        """Say why nothing here runs an artifact; None when something does."""
        reasons = [self._lacking(name, artifact) for name in _readers(artifact)]
        if None in reasons:
            return None
        return "; ".join(dict.fromkeys(filter(None, reasons))) or f"nothing here runs {artifact.format}"

    def of(self, artifact: ArtifactFacts) -> dict[RuntimeName, Backend]:
        """Return what may run an artifact here, the likely fastest first."""
        return {name: self._of(name) for name in _readers(artifact) if self._lacking(name, artifact) is None}

    def _lacking(self, name: RuntimeName, artifact: ArtifactFacts) -> str | None:
        if self.only and name not in self.only:
            return f"the setting RUNTIMES names only {', '.join(self.only)}"
        runtime = RUNTIMES[name]
        if reason := runtime.lacking(artifact):
            return reason
        if name not in self.loaded and importlib.util.find_spec(runtime.package) is None:
            return f"the package {runtime.package} is not installed here"
        return self._of(name).lacking(artifact)

    def _of(self, name: RuntimeName) -> Backend:
        if name not in self.loaded:
            self.loaded[name] = RUNTIMES[name].load(self.machine)
        return self.loaded[name]


def _readers(artifact: ArtifactFacts) -> list[RuntimeName]:
    return [name for name, runtime in RUNTIMES.items() if artifact.format in runtime.families]
