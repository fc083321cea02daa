"""An NVIDIA GPU and its memory, by NVIDIA's own bindings; the first of the machine is used."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Gpu:
    """A GPU."""

    architecture: str  # such as sm_90
    runtime: Any  # the module cuda.bindings.runtime


class CudaError(Exception):
    """A call of CUDA failed; says which, and with what code."""


def find_gpu() -> Gpu | None:
    """Return the first GPU; None where there is none, or no driver, or the bindings are not installed."""
    if importlib.util.find_spec("cuda") is None or importlib.util.find_spec("cuda.bindings") is None:
        return None
    return gpu_of(importlib.import_module("cuda.bindings.runtime"))


def gpu_of(runtime: Any) -> Gpu | None:
    """Return the first GPU that the bindings see."""
    try:
        if not called(runtime, "cudaGetDeviceCount"):
            return None
        kind = runtime.cudaDeviceAttr
        major = called(runtime, "cudaDeviceGetAttribute", kind.cudaDevAttrComputeCapabilityMajor, 0)
        minor = called(runtime, "cudaDeviceGetAttribute", kind.cudaDevAttrComputeCapabilityMinor, 0)
    except (CudaError, RuntimeError):  # RuntimeError: the driver's library is not there
        return None
    return Gpu(f"sm_{major}{minor}", runtime)


def called(runtime: Any, name: str, *arguments: Any) -> Any:
    """Call a function of the bindings, which answer (code, value…); return the value. Raises CudaError."""
    code, *values = getattr(runtime, name)(*arguments)
    if int(code) != 0:
        raise CudaError(f"{name} failed: {code!r}")
    return values[0] if values else None
