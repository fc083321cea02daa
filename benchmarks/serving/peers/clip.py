"""Draws a clip of 1280 × 720 in H.264: a slow pan along photographs. `python -m benchmarks.serving.peers.clip …`."""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import av
import cv2
import numpy as np

WIDTH, HEIGHT = 1280, 720
STEP = 3  # pixels from one frame to the next
RATE = 30  # frames a second
BIT_RATE = 4_000_000


def main() -> None:
    """Write a clip."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True, help="a folder of JPEGs")
    parser.add_argument("--frames", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    told = parser.parse_args()
    strip = _strip(sorted(told.images.glob("*.jpg")), told.frames * STEP + WIDTH)
    part = told.out.with_suffix(".part.mp4")
    with av.open(str(part), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = WIDTH, HEIGHT, "yuv420p", BIT_RATE
        for number in range(told.frames):
            shown = np.ascontiguousarray(strip[:, number * STEP : number * STEP + WIDTH])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(shown, format="bgr24")))
        container.mux(stream.encode())
    part.rename(told.out)


def _strip(paths: list[Path], width: int) -> np.ndarray:
    """Return photographs side by side, (720, at least `width`, 3) BGR."""
    shown, total = [], 0
    for path in itertools.cycle(paths):
        picture = cv2.imread(str(path))
        if picture is None:
            raise SystemExit(f"{path} can't be decoded")
        scale = HEIGHT / picture.shape[0]
        shown.append(cv2.resize(picture, (round(picture.shape[1] * scale), HEIGHT), interpolation=cv2.INTER_CUBIC))
        total += shown[-1].shape[1]
        if total >= width:
            return np.concatenate(shown, axis=1)
    raise SystemExit("there are no photographs")


if __name__ == "__main__":
    main()
