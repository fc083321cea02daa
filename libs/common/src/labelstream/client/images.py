"""Images as they are given: bytes, a path, an open file or an array."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

CHANNELS = 3
_HEADER = 54  # of a BMP file: its own 14 bytes, and 40 of the picture's


@runtime_checkable
class Array(Protocol):
    """What is used of a numpy array; numpy itself is not needed here."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width and channels."""
        ...

    @property
    def dtype(self) -> object:
        """Its numbers' type."""
        ...

    def tobytes(self) -> bytes:
        """Its numbers, row after row."""
        ...


Image = bytes | bytearray | str | os.PathLike[str] | BinaryIO | Array  # a str is a path


def encoded(image: Image) -> bytes:
    """Return the bytes of an image file; an array becomes a BMP file, which loses nothing and costs no time.

    Raises OSError for a file that can't be read, TypeError for what is no image.
    """
    match image:
        case bytes() | bytearray():
            return bytes(image)
        case str() | os.PathLike():
            return Path(image).read_bytes()
        case Array():
            return bmp(image)
    read = getattr(image, "read", None)
    data = read() if callable(read) else None
    if not isinstance(data, bytes):
        raise TypeError(f"{image!r:.80} is no image: give bytes, a path, a file opened as binary, or an array")
    return data


def label_of(image: Image, index: int) -> str:
    """Return how an image is called in answers."""
    return os.fspath(image) if isinstance(image, str | os.PathLike) else str(index)


def bmp(pixels: Array) -> bytes:
    """Return an array of shape (h, w, 3) BGR or (h, w) grey, uint8, as a BMP file. Raises TypeError."""
    if str(pixels.dtype) != "uint8" or len(pixels.shape) not in (2, 3) or 0 in pixels.shape:
        raise TypeError(f"an image is an array of uint8 (h, w, 3) BGR or (h, w), not {pixels.dtype} {pixels.shape}")
    if len(pixels.shape) == CHANNELS and pixels.shape[2] != CHANNELS:
        raise TypeError(f"an image has {CHANNELS} channels (BGR), not {pixels.shape[2]}")
    height, width = pixels.shape[:2]
    data = pixels.tobytes()
    if len(pixels.shape) != CHANNELS:
        data = _tripled(data)
    row = width * CHANNELS
    padding = b"\0" * (-row % 4)
    rows = data if not padding else b"".join(data[at : at + row] + padding for at in range(0, len(data), row))
    size = _HEADER + len(rows)
    # A height below zero: the first row is the top one.
    return struct.pack(
        "<2sIHHIIiiHHIIiiII", b"BM", size, 0, 0, _HEADER, 40, width, -height, 1, 24, 0, len(rows), 0, 0, 0, 0
    ) + rows  # fmt: skip


def _tripled(grey: bytes) -> bytes:
    out = bytearray(len(grey) * CHANNELS)
    for channel in range(CHANNELS):
        out[channel::CHANNELS] = grey
    return bytes(out)
