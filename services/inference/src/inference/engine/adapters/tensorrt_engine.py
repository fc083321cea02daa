"""An engine in the memory of a GPU: batches go there, run, and come back."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from inference.engine.adapters.contract import joined
from inference.engine.adapters.cuda import CudaError, Gpu, called
from inference.engine.geometry import Floats, Tensor


class EngineBatches:
    """Runs batches one after the other; each answer is the caller's own."""

    def __init__(self, library: Any, runtime: Any, engine: Any, gpu: Gpu, max_batch: int) -> None:
        """Take memory for the largest batch: what the engine was made for, `max_batch` at most. Raises CudaError."""
        self._gpu, self._runtime, self._engine = gpu, runtime, engine  # an engine lives as long as its runtime
        names = [engine.get_tensor_name(number) for number in range(engine.num_io_tensors)]
        inputs = [name for name in names if engine.get_tensor_mode(name) == library.TensorIOMode.INPUT]
        self._input = inputs[0]
        self._outputs = [name for name in names if name not in inputs]
        least, _, largest = (tuple(shape) for shape in engine.get_tensor_profile_shape(self._input, 0))
        self.fixed = least[0] == largest[0]
        self.most = int(largest[0]) if self.fixed else min(int(largest[0]), max_batch)
        self._context = engine.create_execution_context()
        self._stream = called(gpu.runtime, "cudaStreamCreate")
        self._memory: dict[str, tuple[int, int]] = {}  # address and bytes, by the tensor's name
        self._turn = threading.Lock()

    def __call__(self, images: Tensor) -> Floats:
        """Run the engine on images (b, …). Raises CudaError."""
        with self._turn:
            self._context.set_input_shape(self._input, tuple(images.shape))
            self._copy(self._on_gpu(self._input, images.nbytes), images.ctypes.data, images.nbytes, "HostToDevice")
            shapes = [tuple(self._context.get_tensor_shape(name)) for name in self._outputs]
            answers = [np.empty(shape, np.float32) for shape in shapes]
            for name, answer in zip(self._outputs, answers, strict=True):
                self._on_gpu(name, answer.nbytes)
            if not self._context.execute_async_v3(int(self._stream)):
                raise CudaError("TensorRT did not run the engine; its log says why")
            for name, answer in zip(self._outputs, answers, strict=True):
                self._copy(answer.ctypes.data, self._memory[name][0], answer.nbytes, "DeviceToHost")
            called(self._gpu.runtime, "cudaStreamSynchronize", self._stream)
        return joined(answers)

    def close(self) -> None:
        """Give the GPU's memory back."""
        with self._turn:
            for address, _ in self._memory.values():
                called(self._gpu.runtime, "cudaFree", address)
            self._memory.clear()
            called(self._gpu.runtime, "cudaStreamDestroy", self._stream)
            self._context = self._engine = self._runtime = None

    def _on_gpu(self, name: str, size: int) -> int:
        """Return where a tensor lies on the GPU; take memory when it needs more than it has."""
        address, has = self._memory.get(name, (0, 0))
        if has < size:
            if has:
                called(self._gpu.runtime, "cudaFree", address)
                del self._memory[name]
            address = int(called(self._gpu.runtime, "cudaMalloc", size))
            self._memory[name] = address, size
            self._context.set_tensor_address(name, address)
        return address

    def _copy(self, target: int, source: int, size: int, way: str) -> None:
        kind = getattr(self._gpu.runtime.cudaMemcpyKind, f"cudaMemcpy{way}")
        called(self._gpu.runtime, "cudaMemcpyAsync", target, source, size, kind, self._stream)
