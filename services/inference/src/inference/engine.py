"""What runs a network: three steps behind one contract, and the detector that takes them in turn.

A backend (onnxruntime now) is one file under `adapters/`. An engine is shared by threads.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

from inference.domain import Floats, Found, Letterbox, Pixels, Size
from labelstream.bundle import Thresholds


@dataclass(frozen=True)
class Prepared:
    """An image as the network takes it."""

    tensor: Floats  # (1, 3, side, side) RGB, 0 to 1
    letterbox: Letterbox


class Engine(Protocol):
    """One artifact, opened. Every method may be called by several threads at once."""

    artifact: str
    backend: str

    def pre_process(self, image: Pixels) -> Prepared:
        """Letterbox and scale an image."""
        ...

    def forward(self, tensor: Floats) -> Floats:
        """Run the network: (n, 3, side, side) to (n, 4 + classes, candidates)."""
        ...

    def post_process(self, raw: Floats, letterbox: Letterbox, thresholds: Thresholds) -> Found:
        """Turn one image's raw output (4 + classes, candidates) into detections in pixels of the image."""
        ...


@dataclass(frozen=True)
class Timings:
    """Where the time of one answer went, in milliseconds."""

    pre_process: float
    forward: float
    post_process: float


@dataclass(frozen=True)
class Detected:
    """What the network found in an image, and what it took."""

    found: Found
    image: Size
    timings_ms: Timings


def detect(engine: Engine, image: Pixels, thresholds: Thresholds) -> Detected:
    """Find what is in `image`."""
    begun = time.perf_counter()
    prepared = engine.pre_process(image)
    tensor_ready = time.perf_counter()
    raw = engine.forward(prepared.tensor)
    answered = time.perf_counter()
    found = engine.post_process(raw[0], prepared.letterbox, thresholds)
    done = time.perf_counter()
    timings = Timings(_ms(begun, tensor_ready), _ms(tensor_ready, answered), _ms(answered, done))
    return Detected(found, prepared.letterbox.image, timings)


def _ms(start: float, end: float) -> float:
    return round((end - start) * 1000, 3)
