"""The orientation in a picture's EXIF data, read as strictly as everybody who shows the picture can be relied on to."""

from __future__ import annotations

import struct

PREFIX = b"Exif\0\0"
ORIENTATION = 0x0112
SHORT = 3
TRANSPOSED = {5, 6, 7, 8}  # orientations that swap width and height
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_ENTRY_BYTES = 12


class Ambiguous(Exception):
    """Readers would differ about the orientation."""


def orientation(block: bytes) -> int:
    """Return the orientation (1 to 8) in an EXIF block or a TIFF file; 1 where it says none. Raises Ambiguous."""
    block = block.removeprefix(PREFIX)
    order = _ORDERS.get(block[:4])
    if order is None:
        raise Ambiguous("its EXIF data have no header that everybody reads")
    try:
        (start,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, start)
        entries = [struct.unpack_from(f"{order}HHIH", block, start + 2 + _ENTRY_BYTES * n) for n in range(count)]
    except struct.error as error:
        raise Ambiguous("its EXIF data end in the middle") from error
    found = [(kind, many, value) for tag, kind, many, value in entries if tag == ORIENTATION]
    if not found:
        return 1
    (kind, many, value), *more = found
    if more or kind != SHORT or many != 1 or not 1 <= value <= max(TRANSPOSED):
        raise Ambiguous("its EXIF data name no clear orientation")
    return int(value)
