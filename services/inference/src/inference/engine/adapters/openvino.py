"""OpenVINO on the CPU."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import openvino

from inference.engine.adapters.contract import Network, NotHere, padded, unloadable
from inference.engine.adapters.packing import unpacked
from inference.engine.geometry import Floats, Tensor
from inference.engine.inputs import zeros
from inference.engine.machine import Machine
from labelstream.bundle import Artifact, ArtifactFacts

PRECISION = "INFERENCE_PRECISION_HINT"
FULL = MappingProxyType({PRECISION: "f32"})  # of ONNX, or a processor that has bf16 would compute in it
ONNX = "onnx"


class OpenVino:
    """Opens OpenVINO's networks, and keeps to the precision that each was proved in."""

    faults: tuple[type[Exception], ...] = (RuntimeError,)

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._core = openvino.Core()

    def lacking(self, artifact: ArtifactFacts) -> str | None:
        """Say why it can't run here; None when nothing stands against it."""
        if self._machine.no_cpu:
            return self._machine.no_cpu
        if artifact.format != ONNX and artifact.packed != "tar":
            return f"it is packed as {artifact.packed!r}, and OpenVINO's networks are read from a tar"
        return None

    def open(self, artifact: Artifact, side: int, content: bytes) -> Network:
        """Open an archive, or a graph, from memory. Raises NotHere, Rejected (model.unloadable)."""
        files = (content,) if artifact.format == ONNX else unpacked(artifact.name, content)
        try:
            model = self._core.read_model(*files)
            shape = model.input().get_partial_shape()
            shape[0] = artifact.batch or 1  # of a known size, it needs no plans for others
            model.reshape(shape)
            hints = FULL if artifact.format == ONNX else artifact.hints
            network = OpenVinoOnCpu(self._core, model, artifact, hints, side, self._machine)
            self._check_precision(artifact.name, hints.get(PRECISION), network.precision)
        except RuntimeError as error:
            raise unloadable("OpenVINO", artifact.name, error) from error
        return network

    def _check_precision(self, artifact: str, wanted: str | None, used: str) -> None:
        if wanted is not None and wanted != used:
            processor = self._core.get_property("CPU", "FULL_DEVICE_NAME").strip()
            raise NotHere(artifact, f"{processor} computes in {used}, and it was proved in {wanted}")


class OpenVinoOnCpu:
    """A network with a stream for each core; and compiled again for runs that take them all."""

    backend = "OpenVINO on the CPU"

    def __init__(
        self, core: Any, model: Any, artifact: Artifact, hints: Mapping[str, str], side: int, machine: Machine
    ) -> None:
        self.at_once = machine.threads
        self._core, self._model, self._hints = core, model, hints
        self._batch = artifact.batch or 1
        self._black = zeros(artifact.input, side)
        self._compiled = self._compile(streams=machine.threads)
        self._spread = machine.spread
        self._requests = Requests(self._compiled)
        self._alone = self._requests

    @property
    def precision(self) -> str:
        """What it computes in, such as f32."""
        return str(self._compiled.get_property(PRECISION).to_string())

    def run(self, tensor: Tensor, *, alone: bool = False) -> Floats:
        """Answer one image."""
        requests = self._alone if alone else self._requests
        return requests.run(padded(tensor, self._batch))

    def trial(self, tensor: Tensor) -> float:
        """Return the seconds of one image while all cores run one each."""
        begun = time.perf_counter()
        self.run(tensor)
        return (time.perf_counter() - begun) / self.at_once

    def settle(self) -> None:
        """Compile and warm what takes every core for one run."""
        if self.at_once > 1 and self._spread:
            self._alone = Requests(self._compile(streams=1))
            self.run(self._black, alone=True)
        self._model = None

    def close(self) -> None:
        """Nothing to do: the network ends when the last call lets go of it."""

    def _compile(self, streams: int) -> Any:
        threads = {"INFERENCE_NUM_THREADS": str(self.at_once), "NUM_STREAMS": str(streams)}
        return self._core.compile_model(self._model, "CPU", {**self._hints, **threads})


class Requests:
    """As many requests of a compiled network as there were runs at the same time."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self._shapes = [tuple(output.shape) for output in compiled.outputs]
        self._free: deque[Any] = deque()  # its ends are moved by one thread at a time

    def run(self, images: Tensor) -> Floats:
        """Run one batch; return the answer to its first image."""
        request = self._take()
        answers = [np.empty(shape, np.float32) for shape in self._shapes]
        for number, answer in enumerate(answers):  # the network writes where the caller reads
            request.set_output_tensor(number, openvino.Tensor(answer, shared_memory=True))
        request.set_input_tensor(openvino.Tensor(images, shared_memory=True))
        request.infer(share_outputs=True)
        self._free.append(request)
        return answers[0][0] if len(answers) == 1 else np.concatenate([answer[0] for answer in answers])

    def _take(self) -> Any:
        try:
            return self._free.pop()
        except IndexError:
            return self._compiled.create_infer_request()
