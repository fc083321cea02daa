"""Small videos, drawn by the tests."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

SIDE, CELL = 64, 8
RED = (0, 0, 255)


def picture(number: int) -> np.ndarray:
    """Frame `number`: a red cell that walks through the columns, and then through the rows."""
    image = np.full((SIDE, SIDE, 3), 114, np.uint8)
    row, column = (number // 8) % 8, number % 8
    image[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL] = RED
    return image


def corner(number: int) -> tuple[int, int]:
    """Where the red cell of frame `number` begins."""
    return number % 8 * CELL, (number // 8) % 8 * CELL


def written(path: Path, frames: int, code: str = "MJPG", fps: float = 10) -> bytes:
    """A video as OpenCV writes it."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), fps, (SIDE, SIDE))
    assert writer.isOpened()
    for number in range(frames):
        writer.write(picture(number))
    writer.release()
    return path.read_bytes()


def timed(path: Path, times: list[int], codec: str = "mpeg4", size: tuple[int, int] = (SIDE, SIDE), **options) -> bytes:
    """A video whose frames are shown at these milliseconds."""
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        stream.bit_rate = 4_000_000
        for number, time in enumerate(times):
            image = picture(number) if size == (SIDE, SIDE) else np.zeros((size[1], size[0], 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path.read_bytes()


def sound(path: Path) -> bytes:
    """A file that holds only sound."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44_100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44_100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path.read_bytes()
