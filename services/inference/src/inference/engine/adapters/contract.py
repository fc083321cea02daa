"""What every runtime's adapter does: say whether it can run an artifact here, open it from memory, run images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from inference.engine.geometry import Floats, Tensor
from labelstream.bundle import Artifact, ArtifactFacts
from labelstream.errors import Rejected


class NotHere(Rejected):
    """This machine does not run the artifact, though another one may."""

    def __init__(self, artifact: str, reason: str) -> None:
        super().__init__("model.not_for_us", f"{artifact}: {reason}", "Export the model in a format that runs here.")


class Network(Protocol):
    """An opened artifact. Every method but `settle` and `close` may be called by several threads at once."""

    backend: str  # runtime and device, such as "OpenVINO on the CPU"
    at_once: int  # calls of `run` at the same time that it is fastest with

    def run(self, tensor: Tensor, *, alone: bool = False) -> Floats:
        """Answer one image, without the axis of a batch. The answer is the caller's own.

        raw-yolo and raw-yolo-split: (4 + classes, candidates); boxes-score-class: (max detections, 6).
        """
        ...

    def trial(self, tensor: Tensor) -> float:
        """Return the seconds that one image takes while the machine is busy with others; measured by one run."""
        ...

    def settle(self) -> None:
        """Open and warm what only a network needs that answers requests: what `alone` takes, batches of all sizes."""
        ...

    def close(self) -> None:
        """Let the network and its threads go; nothing may be in work any more."""
        ...


class Backend(Protocol):
    """One runtime on one device."""

    faults: tuple[type[Exception], ...]  # what its networks raise when they don't run

    def lacking(self, artifact: ArtifactFacts) -> str | None:
        """Say why it can't run an artifact here, as far as its facts show; None when nothing stands against it."""
        ...

    def open(self, artifact: Artifact, side: int, content: bytes) -> Network:
        """Open an artifact from memory. Raises NotHere, Rejected (model.unloadable)."""
        ...


def unloadable(runtime: str, artifact: str, error: Exception) -> Rejected:
    """Return what to say of a content that a runtime does not read or run."""
    return Rejected(
        "model.unloadable",
        f"{runtime} does not run {artifact}: {(str(error).strip() or type(error).__name__).splitlines()[0]}",
        "Compare the exporter's library versions (in the manifest) with this service's.",
    )


def padded(tensor: Tensor, batch: int) -> Tensor:
    """Return one image as a batch of exactly `batch`: the rest is black."""
    images: Tensor = tensor[np.newaxis]
    if batch == 1:
        return images
    filled = np.zeros((batch, *tensor.shape), tensor.dtype)
    filled[0] = tensor
    return filled


def joined(outputs: Sequence[Floats]) -> Floats:
    """Return the one output, or boxes (b, 4, n) and scores (b, classes, n) as (b, 4 + classes, n)."""
    return outputs[0] if len(outputs) == 1 else np.concatenate(outputs, axis=1)
