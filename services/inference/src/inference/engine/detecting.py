"""From an image to what is in it, and where the time went."""

from __future__ import annotations

import time
from dataclasses import dataclass

from inference.engine.contract import Engine
from inference.engine.geometry import Found, Pixels, Size
from inference.engine.tiling import Tiling, merge
from labelstream.bundle import Thresholds


@dataclass(frozen=True)
class Timings:
    """Where the time of one answer went, in milliseconds."""

    pre_process: float
    forward: float
    post_process: float

    def __add__(self, other: Timings) -> Timings:
        return Timings(
            self.pre_process + other.pre_process, self.forward + other.forward, self.post_process + other.post_process
        )


@dataclass(frozen=True)
class Detected:
    """What the network found in an image, and what it took."""

    found: Found
    image: Size
    timings_ms: Timings
    tiles: int = 1  # looks of the network at the image, of which one is at the whole
    alone: bool = False  # nothing else was in work, so that the runs may have taken every core


def detect(
    engine: Engine, image: Pixels, thresholds: Thresholds, *, alone: bool = False, tiling: Tiling | None = None
) -> Detected:
    """Find what is in `image`, with `tiling` in its tiles as well. Raises Rejected for too many tiles."""
    height, width = image.shape[:2]
    size = Size(width, height)
    tiles = tiling.tiles(size) if tiling else []
    whole, spent = _look(engine, image, thresholds, alone=alone)
    if not tiles:
        return Detected(whole, size, spent, alone=alone)
    pieces = []
    for tile in tiles:
        view = image[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width]
        found, more = _look(engine, view, thresholds, alone=alone)
        pieces.append((tile, found))
        spent += more
    begun = time.perf_counter()
    found = merge(whole, pieces, size, thresholds)
    return Detected(
        found, size, spent + Timings(0, 0, _ms(begun, time.perf_counter())), tiles=1 + len(tiles), alone=alone
    )


def _look(engine: Engine, image: Pixels, thresholds: Thresholds, *, alone: bool) -> tuple[Found, Timings]:
    begun = time.perf_counter()
    prepared = engine.pre_process(image)
    tensor_ready = time.perf_counter()
    raw = engine.forward(prepared, alone=alone)
    answered = time.perf_counter()
    found = engine.post_process(raw, prepared.letterbox, thresholds)
    done = time.perf_counter()
    return found, Timings(_ms(begun, tensor_ready), _ms(tensor_ready, answered), _ms(answered, done))


def _ms(start: float, end: float) -> float:
    return round((end - start) * 1000, 3)
