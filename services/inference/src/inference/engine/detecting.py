"""From an image to what is in it, and where the time went."""

from __future__ import annotations

import time
from dataclasses import dataclass

from inference.engine.contract import Engine
from inference.engine.geometry import Found, Pixels, Size
from labelstream.bundle import Thresholds


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
    tiles: int = 1  # pieces of the image that the network saw


def detect(engine: Engine, image: Pixels, thresholds: Thresholds, *, alone: bool = False) -> Detected:
    """Find what is in `image`."""
    begun = time.perf_counter()
    prepared = engine.pre_process(image)
    tensor_ready = time.perf_counter()
    raw = engine.forward(prepared, alone=alone)
    answered = time.perf_counter()
    found = engine.post_process(raw, prepared.letterbox, thresholds)
    done = time.perf_counter()
    timings = Timings(_ms(begun, tensor_ready), _ms(tensor_ready, answered), _ms(answered, done))
    return Detected(found, prepared.letterbox.image, timings)


def _ms(start: float, end: float) -> float:
    return round((end - start) * 1000, 3)
