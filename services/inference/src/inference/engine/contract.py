"""What answers for one model: three steps behind one contract. An engine is shared by threads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from inference.engine.geometry import Floats, Found, Letterbox, Pixels, Tensor
from labelstream.bundle import Thresholds


@dataclass(frozen=True)
class Prepared:
    """An image as the network takes it."""

    tensor: Tensor  # one image, without the axis of a batch
    letterbox: Letterbox


@dataclass(frozen=True)
class Tried:
    """What became of one artifact of a bundle in one runtime of this machine."""

    artifact: str
    runtime: str | None = None  # None: it was left out before one was chosen
    ms: float | None = None  # for one image while the machine is busy with others; None: it was not run
    refused: str | None = None  # why it does not answer, unless it only was slower


class Engine(Protocol):
    """One artifact, opened on one device. Every method may be called by several threads at once."""

    @property
    def artifact(self) -> str:
        """Its name, such as openvino-int8-u8."""
        ...

    @property
    def backend(self) -> str:
        """Runtime and device, such as "OpenVINO on the CPU"."""
        ...

    @property
    def side(self) -> int:
        """The side of the square that the network sees, in pixels."""
        ...

    @property
    def at_once(self) -> int:
        """How many calls of `forward` at the same time it is fastest with: cores, or the batch of a GPU."""
        ...

    @property
    def tried(self) -> tuple[Tried, ...]:
        """All artifacts of the bundle in each runtime that reads them here, the fastest first: why this one answers."""
        ...

    def pre_process(self, image: Pixels) -> Prepared:
        """Letterbox an image into what the graph takes."""
        ...

    def forward(self, prepared: Prepared, *, alone: bool = False) -> Floats:
        """Run the network on one image; return what it answers, which `post_process` reads.

        `alone`: nothing else is in work, so that the run may take every core. What comes together on a GPU is run as
        one batch: the call waits for its row.
        """
        ...

    def post_process(self, raw: Floats, letterbox: Letterbox, thresholds: Thresholds) -> Found:
        """Turn what `forward` returned into detections in pixels of the image."""
        ...

    def close(self) -> None:
        """Let the network and its threads go; nothing may be in work any more."""
        ...
