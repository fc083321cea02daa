"""What this machine can export to. Imports no torch: the worker asks before it takes a job."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from labelstream.exports import Capability
from labelstream.formats import Family, queue_of

ASK_S = 60.0  # seconds that a program may take to say what there is
NETWORK = ("torch", "ultralytics", "safetensors", "cv2")  # import names; every family needs them
PACKAGES: dict[Family, tuple[str, ...]] = {
    "onnx": ("onnx", "onnxslim", "onnxruntime"),
    "openvino": ("onnx", "onnxslim", "onnxruntime", "openvino"),
    "torchscript": ("torch",),
    "tensorrt": ("onnx", "onnxslim", "onnxruntime", "tensorrt"),
    "rknn": ("onnx", "onnxslim", "onnxruntime"),
}
PACKAGED_AS = {"cv2": ("opencv-python-headless", "opencv-python"), "onnxruntime": ("onnxruntime", "onnxruntime-gpu")}
_GIVEN = ("PATH", "LANG", "LD_LIBRARY_PATH")  # foreign programs get none of our secrets
LEAST_TENSORRT = 11  # from then on a network's precision stands in its graph
_SAY_GPUS = (
    "import torch; count = torch.cuda.device_count() if torch.cuda.is_available() else 0; "
    "print(*('{}.{}'.format(*torch.cuda.get_device_capability(each)) for each in range(count)))"
)
RKNN, RKNN_TARGETS = "rknn-toolkit2", ("rk3588",)
_SAY_RKNN = (
    "import importlib.metadata as m, importlib.util as u, json; "
    f"print(json.dumps(m.version({RKNN!r}) if u.find_spec('rknn') else None))"
)


def installed(name: str) -> str | None:
    """Return the version of what is imported as `name`, without importing it; None when it is not there."""
    if importlib.util.find_spec(name) is None:
        return None
    for package in PACKAGED_AS.get(name, (name,)):
        try:
            return importlib.metadata.version(package).split("+")[0]
        except importlib.metadata.PackageNotFoundError:
            continue
    return ""


def gpu_architectures() -> tuple[str, ...]:
    """Return the compute capabilities of the GPUs that torch can use, such as 9.0, in its order; empty without one."""
    said = _said([sys.executable, "-c", _SAY_GPUS]) if shutil.which("nvidia-smi") else None
    return tuple((said or "").split())


def rknn_version(python: Path) -> str | None:
    """Return the version of RKNN's toolkit in the environment of `python`; None when it is not there."""
    said = _said([str(python), "-c", _SAY_RKNN])
    version: str | None = json.loads(said) if said else None
    return version


@dataclass(frozen=True)
class Finders:
    """How to find out what there is."""

    package: Callable[[str], str | None] = installed
    gpus: Callable[[], tuple[str, ...]] = gpu_architectures
    rknn: Callable[[Path], str | None] = rknn_version


def capabilities(rknn_python: Path | None = None, finders: Finders | None = None) -> tuple[Capability, ...]:
    """Return what can be built here; `rknn_python` is the Python of RKNN's own environment.

    A family counts when its packages are installed; TensorRT only with a GPU, for whose architecture its files are.
    """
    find = finders or Finders()
    found: list[Capability] = []
    for family, packages in PACKAGES.items():
        versions = _versions(find, (*NETWORK, *packages))
        if versions is None:
            continue
        if family == "tensorrt":
            gpus = find.gpus()[:1] if _major(versions["tensorrt"]) >= LEAST_TENSORRT else ()  # it builds on the first
            found += _each(family, [_target(each) for each in gpus], versions)
        elif family == "rknn":
            version = find.rknn(rknn_python) if rknn_python else None
            found += _each(family, RKNN_TARGETS if version else (), versions | {RKNN: version or ""})
        else:
            found += _each(family, (None,), versions)
    return tuple(found)


def _each(family: Family, targets: Iterable[str | None], versions: dict[str, str]) -> list[Capability]:
    return [
        Capability(family=family, target=target, queue=queue_of(family, target), versions=versions)
        for target in targets
    ]


def _versions(find: Finders, packages: Iterable[str]) -> dict[str, str] | None:
    versions: dict[str, str] = {}
    for name in packages:
        version = find.package(name)
        if version is None:
            return None
        versions[name] = version
    return versions


def _major(version: str) -> int:
    return int(version.split(".", maxsplit=1)[0]) if version.split(".", maxsplit=1)[0].isdigit() else 0


def _target(compute_capability: str) -> str:
    return "sm_" + compute_capability.replace(".", "")


def _said(command: list[str]) -> str | None:
    """Return what a program prints; None when it can't be started, fails, or takes too long."""
    given = {name: os.environ[name] for name in _GIVEN if name in os.environ}
    try:
        done = subprocess.run(  # noqa: S603  # ours
            command, capture_output=True, text=True, timeout=ASK_S, check=True, env=given
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
