"""TensorRT on a GPU: engines that the exporter made for its architecture."""

from __future__ import annotations

import importlib
from typing import Any

from inference.engine.adapters.contract import Network, NotHere, unloadable
from inference.engine.adapters.cuda import CudaError
from inference.engine.adapters.tensorrt_engine import EngineBatches
from inference.engine.batching import Batched
from inference.engine.inputs import zeros
from inference.engine.machine import Machine
from labelstream.bundle import Artifact, ArtifactFacts

LEAST_VERSION = 11  # what the exporter builds with; an engine is read by the version that wrote it


class TensorRt:
    """Opens engines."""

    faults: tuple[type[Exception], ...] = (CudaError,)

    def __init__(self, machine: Machine, library: Any = None) -> None:
        """Use the GPU of `machine`; `library` is the module tensorrt."""
        self._machine = machine
        self._library = library or importlib.import_module("tensorrt")

    def lacking(self, artifact: ArtifactFacts) -> str | None:
        """Say why it can't run here; None when nothing stands against it."""
        gpu = self._machine.gpu
        if gpu is None:
            return f"no GPU is used here, and it is one for {artifact.target}"
        if gpu.architecture != artifact.target:
            return f"the GPU here is {gpu.architecture}, and it is one for {artifact.target}"
        version = str(self._library.__version__)
        if int(version.split(".", maxsplit=1)[0]) < LEAST_VERSION:
            return f"TensorRT {version} is installed here, and engines are made by {LEAST_VERSION} or later"
        return None

    def open(self, artifact: Artifact, side: int, content: bytes) -> Network:
        """Load an engine from memory onto the GPU. Raises NotHere, Rejected (model.unloadable)."""
        gpu = self._machine.gpu
        if gpu is None:
            raise NotHere(artifact.name, "no GPU is used here")
        runtime = self._library.Runtime(self._library.Logger(self._library.Logger.ERROR))
        engine = runtime.deserialize_cuda_engine(content)
        if engine is None:
            made = artifact.versions.get("tensorrt", "another version")
            reason = f"TensorRT {self._library.__version__} does not load what {made} made; its log says why"
            raise NotHere(artifact.name, reason)
        black = zeros(artifact.input, side)
        try:
            run = EngineBatches(self._library, runtime, engine, gpu, self._machine.max_batch)
            network = Batched("TensorRT on the GPU", run, black, run.most, fixed=run.fixed)
        except CudaError as error:
            raise unloadable("TensorRT", artifact.name, error) from error
        return network
