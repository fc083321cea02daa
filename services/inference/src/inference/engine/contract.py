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


class Engine(Protocol):
    """One artifact, opened on one device. Every method may be called by several threads at once."""

    artifact: str  # such as openvino-int8-u8
    backend: str  # runtime and device, such as "OpenVINO on the CPU"
    side: int  # of the square that the network sees, in pixels
    at_once: int  # calls of `forward` at the same time that it is fastest with: cores, or the batch of a GPU

    def pre_process(self, image: Pixels) -> Prepared:
        """Letterbox an image into what the graph takes."""
        ...

    def forward(self, prepared: Prepared, *, alone: bool = False) -> Floats:
        """Run the network on one image; return its (4 + classes, candidates).

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
