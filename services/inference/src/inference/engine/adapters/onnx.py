"""onnxruntime on the CPU, and on a GPU by CUDA."""

from __future__ import annotations

import time

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from inference.engine.adapters.contract import Network, NotHere, joined, padded, unloadable
from inference.engine.batching import Batched
from inference.engine.geometry import Floats, Tensor
from inference.engine.inputs import zeros
from inference.engine.machine import Machine
from labelstream.bundle import Artifact, ArtifactFacts

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
ERRORS = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoModel,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)


class Onnx:
    """Opens ONNX graphs: on the GPU when there is one that this onnxruntime uses, else on the CPU."""

    faults: tuple[type[Exception], ...] = ERRORS

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._cuda = machine.gpu is not None and CUDA in ort.get_available_providers()

    def lacking(self, artifact: ArtifactFacts) -> str | None:  # noqa: ARG002  # every graph runs everywhere
        """Say why it can't run here; None when nothing stands against it."""
        return None if self._cuda or self._machine.cpu else "no onnxruntime with CUDA is installed here, or no GPU"

    def open(self, artifact: Artifact, side: int, content: bytes) -> Network:
        """Open a graph from memory. Raises NotHere, Rejected (model.unloadable)."""
        try:
            network = self._on_gpu(artifact, side, content) if self._cuda else None
            return network or self._on_cpu(artifact, side, content)
        except ERRORS as error:
            raise unloadable("onnxruntime", artifact.name, error) from error

    def _on_cpu(self, artifact: Artifact, side: int, content: bytes) -> Network:
        if not self._machine.cpu:
            raise NotHere(artifact.name, "onnxruntime does not come up on the GPU, and the setting DEVICE is cuda")
        return OnnxOnCpu(artifact, side, content, self._machine)

    def _on_gpu(self, artifact: Artifact, side: int, content: bytes) -> Network | None:
        options = session_options(1)
        session = ort.InferenceSession(
            content, options, providers=[(CUDA, {"cudnn_conv_algo_search": "HEURISTIC"}), CPU]
        )
        if CUDA not in session.get_providers():  # its libraries do not load: the log says which
            return None
        most = artifact.batch or self._machine.max_batch
        run = OnnxBatches(session)
        return Batched(
            "onnxruntime on the GPU", run, zeros(artifact.input, side), most, fixed=artifact.batch is not None
        )


class OnnxBatches:
    """A session as what runs batches."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self._session = session
        self._input = session.get_inputs()[0].name
        self._outputs = [output.name for output in session.get_outputs()]

    def __call__(self, images: Tensor) -> Floats:
        """Run the network on images (b, …)."""
        return joined(self._session.run(self._outputs, {self._input: images}))

    def close(self) -> None:
        """Nothing to do: a session ends when the last call lets go of it."""


class OnnxOnCpu:
    """A graph in a session that all threads share, each run on one core; and in one that takes them all for a run."""

    backend = "onnxruntime on the CPU"

    def __init__(self, artifact: Artifact, side: int, content: bytes, machine: Machine) -> None:
        self.at_once, self._spread = machine.threads, machine.spread
        self._batch = artifact.batch or 1
        self._content: bytes | None = content
        self._black = zeros(artifact.input, side)
        self._run = OnnxBatches(_session(content, 1))
        self._run_alone = self._run

    def run(self, tensor: Tensor, *, alone: bool = False) -> Floats:
        """Answer one image."""
        run = self._run_alone if alone else self._run
        raw: Floats = run(padded(tensor, self._batch))[0]
        return raw

    def trial(self, tensor: Tensor) -> float:
        """Return the seconds of one image while all cores run one each."""
        begun = time.perf_counter()
        self.run(tensor)
        return (time.perf_counter() - begun) / self.at_once

    def settle(self) -> None:
        """Open and warm the session that takes every core."""
        content, self._content = self._content, None
        if content is not None and self._spread and self.at_once > 1:
            self._run_alone = OnnxBatches(_session(content, self.at_once))
            self.run(self._black, alone=True)

    def close(self) -> None:
        """Nothing to do: sessions end when the last call lets go of them."""


def _session(content: bytes, threads: int) -> ort.InferenceSession:
    options = session_options(threads)
    options.add_free_dimension_override_by_name("batch", 1)  # as the exporter calls it
    return ort.InferenceSession(content, options, providers=[CPU])


def session_options(threads: int) -> ort.SessionOptions:
    """Return options for runs on so many threads, which let the cores go between runs."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; they are raised as well
    # Threads of one run that wait for each other by spinning meet sooner; beside another run they take its core. So
    # only who has every core spins, and no longer than its run.
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if threads > 1 else "0")
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options
