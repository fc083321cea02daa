"""The calls of CUDA's bindings and of TensorRT's runtime that running an engine makes, as NVIDIA documents them.

The GPU's memory is host memory; the engine finds each image's own mean. Misuse (memory that was not taken or is too
small, shapes outside the profile, work that was not waited for) fails here as it would there.
"""

# ruff: noqa: N802, N815  # the names are NVIDIA's

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np

CLASSES, CANDIDATES = 2, 4


class Codes(IntEnum):
    SUCCESS = 0
    OUT_OF_MEMORY = 2
    INSUFFICIENT_DRIVER = 35


class CopyKind(IntEnum):
    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2


class Attribute(IntEnum):
    cudaDevAttrComputeCapabilityMajor = 75
    cudaDevAttrComputeCapabilityMinor = 76


@dataclass
class Cuda:
    """The module cuda.bindings.runtime: every call answers (code, value…)."""

    architecture: tuple[int, int] = (9, 0)
    devices: int = 1
    driver: bool = True
    memory_bytes: int = 1 << 30
    taken: dict[int, Any] = field(default_factory=dict)
    streams: int = 0
    pending: list[Any] = field(default_factory=list)

    cudaMemcpyKind = CopyKind
    cudaDeviceAttr = Attribute

    def cudaGetDeviceCount(self):
        return (Codes.SUCCESS, self.devices) if self.driver else (Codes.INSUFFICIENT_DRIVER, None)

    def cudaDeviceGetAttribute(self, attribute: Attribute, device: int):
        assert device == 0
        return Codes.SUCCESS, self.architecture[attribute - Attribute.cudaDevAttrComputeCapabilityMajor]

    def cudaMalloc(self, size: int):
        if size + sum(len(block) for block in self.taken.values()) > self.memory_bytes:
            return Codes.OUT_OF_MEMORY, None
        block = ctypes.create_string_buffer(size)
        self.taken[ctypes.addressof(block)] = block
        return Codes.SUCCESS, ctypes.addressof(block)

    def cudaFree(self, address: int):
        del self.taken[address]
        return (Codes.SUCCESS,)

    def cudaMemcpyAsync(self, target: int, source: int, size: int, kind: CopyKind, stream: int):
        assert stream == 5
        on_gpu = target if kind == CopyKind.cudaMemcpyHostToDevice else source
        assert size <= len(self.taken[on_gpu])
        self.pending.append(lambda: ctypes.memmove(target, source, size))
        return (Codes.SUCCESS,)

    def cudaStreamCreate(self):
        self.streams += 1
        return Codes.SUCCESS, 5

    def cudaStreamSynchronize(self, stream: int):
        assert stream == 5
        for work in self.pending:
            work()
        self.pending.clear()
        return (Codes.SUCCESS,)

    def cudaStreamDestroy(self, stream: int):
        assert stream == 5
        self.streams -= 1
        return (Codes.SUCCESS,)


class TensorIOMode(IntEnum):
    INPUT = 1
    OUTPUT = 2


@dataclass
class Context:
    engine: Engine
    shape: tuple[int, ...] = ()
    addresses: dict[str, int] = field(default_factory=dict)

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        assert name == "images"
        least, _, most = self.engine.get_tensor_profile_shape(name, 0)
        assert least[0] <= shape[0] <= most[0], "outside the optimization profile"
        assert shape[1:] == most[1:]
        self.shape = shape
        return True

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.shape if name == "images" else (self.shape[0], 4 + CLASSES, CANDIDATES)

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        assert stream == 5
        if not self.engine.runs:
            return False
        self.engine.cuda.pending.append(self._compute)
        return True

    def _compute(self) -> None:
        memory = self.engine.cuda.taken
        count = int(np.prod(self.shape))
        images = np.frombuffer(memory[self.addresses["images"]], self.engine.kind, count).reshape(self.shape)
        means = images.reshape(len(images), -1).mean(axis=1, dtype=np.float32)
        answer = np.broadcast_to(means[:, None, None], self.get_tensor_shape("output0")).astype(np.float32)
        np.frombuffer(memory[self.addresses["output0"]], np.float32, answer.size)[:] = answer.ravel()
        self.engine.batches.append(len(images))


@dataclass
class Engine:
    cuda: Cuda
    most: int = 8
    least: int = 1
    side: int = 64
    kind: type = np.float32
    runs: bool = True
    batches: list[int] = field(default_factory=list)
    num_io_tensors: int = 2

    def get_tensor_name(self, number: int) -> str:
        return ("images", "output0")[number]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name == "images" else TensorIOMode.OUTPUT

    def get_tensor_profile_shape(self, name: str, profile: int):
        assert (name, profile) == ("images", 0)
        image = (3, self.side, self.side) if self.kind is np.float32 else (self.side, self.side, 3)
        return [(self.least, *image), (self.most, *image), (self.most, *image)]

    def create_execution_context(self) -> Context:
        return Context(self)


@dataclass
class TensorRtLibrary:
    """The module tensorrt; an engine is the bytes b"engine"."""

    engine: Engine
    __version__: str = "11.4.0"
    TensorIOMode = TensorIOMode

    class Logger:
        ERROR = 1

        def __init__(self, least: int) -> None:
            assert least == self.ERROR

    def Runtime(self, logger: Logger) -> TensorRtLibrary:
        assert isinstance(logger, self.Logger)
        return self

    def deserialize_cuda_engine(self, content: bytes) -> Engine | None:
        return self.engine if content == b"engine" else None
