"""The part of TensorRT that needs a GPU: a rewritten graph to an engine, and running it."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import torch

from exporter.engine.adapters.contract import Floats, Images, UnbuildableError
from exporter.engine.adapters.graph import INPUT, OUTPUT

LEAST_VERSION = 11  # from here on, every network is strongly typed
BATCHES = (1, 4, 8)  # the least, the one to be fastest at, and the most


class Machine:
    """The GPU and the TensorRT of this machine."""

    def tensorrt(self) -> Any:
        """Return the library, or None where it is not installed; only hosts with a GPU have it."""
        return importlib.import_module("tensorrt") if importlib.util.find_spec("tensorrt") else None

    def architecture(self) -> str | None:
        """Return the GPU's, such as sm_90; None without a GPU."""
        if not torch.cuda.is_available():
            return None
        major, minor = torch.cuda.get_device_capability()
        return f"sm_{major}{minor}"

    def lacking(self, target: str | None) -> str | None:
        """Say what is missing to build or run an engine for `target`; None when nothing is."""
        found = self.architecture()
        if found is None:
            return f"there is no GPU here, and the engine is one for {target}"
        if found != target:
            return f"the GPU here is {found}, and the engine is one for {target}"
        trt = self.tensorrt()
        if trt is None:
            return "the package tensorrt is not installed here"
        version = str(trt.__version__)
        if int(version.split(".", maxsplit=1)[0]) < LEAST_VERSION:
            return f"TensorRT {version} is installed here, and from {LEAST_VERSION} on networks are strongly typed"
        return None


def build_engine(trt: Any, graph: Path, image: tuple[int, int, int]) -> bytes:
    """Make an engine of an ONNX graph for any number of images of that shape.

    Raises UnbuildableError with what TensorRT said.
    """
    logger = trt.Logger(trt.Logger.WARNING)
    builder = trt.Builder(logger)
    network = builder.create_network()
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(graph)):
        said = "; ".join(parser.get_error(number).desc() for number in range(parser.num_errors))
        raise UnbuildableError(f"TensorRT can't read {graph.name}: {said}")
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)  # what the graph says in float32 has all its digits
    profile = builder.create_optimization_profile()
    profile.set_shape(INPUT, *((batch, *image) for batch in BATCHES))
    config.add_optimization_profile(profile)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise UnbuildableError(f"TensorRT makes no engine of {graph.name}; its reason is in the log")
    return bytes(engine)


class EngineRunner:
    """An engine on the GPU; more images than it takes at once go through in turns."""

    batch: int | None = None

    def __init__(self, trt: Any, artifact: Path) -> None:
        runtime = trt.Runtime(trt.Logger(trt.Logger.WARNING))
        self._engine = runtime.deserialize_cuda_engine(artifact.read_bytes())
        if self._engine is None:
            raise UnbuildableError(f"TensorRT can't load {artifact.name}; its reason is in the log")
        self._context = self._engine.create_execution_context()
        _, _, most = self._engine.get_tensor_profile_shape(INPUT, 0)
        self._most = int(most[0])
        self._stream = torch.cuda.Stream()

    def run(self, images: Images) -> Floats:
        """Answer images."""
        parts = [self._run(images[start : start + self._most]) for start in range(0, len(images), self._most)]
        return np.concatenate(parts)

    def close(self) -> None:
        """Give the GPU's memory back."""
        self._context = self._engine = None

    def _run(self, images: Images) -> Floats:
        with torch.cuda.stream(self._stream):
            given = torch.from_numpy(np.ascontiguousarray(images)).cuda()
            self._context.set_input_shape(INPUT, tuple(given.shape))
            shape = tuple(self._context.get_tensor_shape(OUTPUT))
            answer = torch.empty(shape, dtype=torch.float32, device="cuda")
            self._context.set_tensor_address(INPUT, given.data_ptr())
            self._context.set_tensor_address(OUTPUT, answer.data_ptr())
            if not self._context.execute_async_v3(self._stream.cuda_stream):
                raise RuntimeError("TensorRT did not run the engine; its reason is in the log")
        self._stream.synchronize()
        raw: Floats = answer.cpu().numpy()
        return raw
