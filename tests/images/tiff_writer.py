"""Writes the TIFF files that libraries do not write."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Pixels = np.ndarray[Any, Any]
Tags = dict[int, tuple[str, Sequence[int]]]
_CODES = {"B": 1, "H": 3, "I": 4}


def write_tiff(  # one keyword for each way in which TIFF files differ
    pixels: Pixels,  # (height, width, channels): whole numbers, or floats with `floats`
    photometric: int,
    bits: int = 8,
    *,
    order: str = "<",
    planes: bool = False,
    floats: bool = False,
    tile: int = 0,
    tags: Mapping[int, Sequence[int]] | None = None,
) -> bytes:
    """Return an uncompressed TIFF file of one page; `tags` are further ones, of 16 bits each."""
    height, width, channels = pixels.shape
    blocks = [pixels[..., n : n + 1] for n in range(channels)] if planes else [pixels]
    if tile:
        blocks = [_tile(b, y, x, tile) for b in blocks for y in range(0, height, tile) for x in range(0, width, tile)]
    strips = [_packed(block, bits, order, floats=floats) for block in blocks]
    ifd: Tags = {
        256: ("I", [width]),
        257: ("I", [height]),
        258: ("H", [bits] * channels),
        259: ("H", [1]),
        262: ("H", [photometric]),
        277: ("H", [channels]),
        284: ("H", [2 if planes else 1]),
        **({339: ("H", [3] * channels)} if floats else {}),
        **({322: ("I", [tile]), 323: ("I", [tile])} if tile else {278: ("I", [height])}),
        **{tag: ("H", values) for tag, values in (tags or {}).items()},
    }
    offsets, sizes = (324, 325) if tile else (273, 279)
    ifd[sizes] = ("I", [len(strip) for strip in strips])
    ifd[offsets] = ("I", [0] * len(strips))
    start = len(_directory(ifd, order))
    ifd[offsets] = ("I", [start + sum(len(s) for s in strips[:n]) for n in range(len(strips))])
    return _directory(ifd, order) + b"".join(strips)


def _tile(block: Pixels, y: int, x: int, side: int) -> Pixels:
    cut = block[y : y + side, x : x + side]
    return np.pad(cut, ((0, side - cut.shape[0]), (0, side - cut.shape[1]), (0, 0)))


def _packed(block: Pixels, bits: int, order: str, *, floats: bool) -> bytes:
    rows = block.reshape(block.shape[0], -1)
    if bits >= 8:
        return rows.astype(f"{order}{'f' if floats else 'u'}{bits // 8}").tobytes()
    digits = (rows[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(digits.reshape(rows.shape[0], -1).astype(np.uint8), axis=1).tobytes()


def _directory(ifd: Tags, order: str) -> bytes:
    """Return the header, the directory, and the values that do not fit into it."""
    after = 8 + 2 + 12 * len(ifd) + 4
    entries, values = struct.pack(f"{order}H", len(ifd)), b""
    for tag, (kind, numbers) in sorted(ifd.items()):
        raw = struct.pack(f"{order}{len(numbers)}{kind}", *numbers)
        if len(raw) > 4:
            place = struct.pack(f"{order}I", after + len(values))
            values += raw + bytes(len(raw) % 2)
        else:
            place = raw.ljust(4, b"\0")
        entries += struct.pack(f"{order}HHI", tag, _CODES[kind], len(numbers)) + place
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return magic + struct.pack(f"{order}I", 8) + entries + bytes(4) + values
