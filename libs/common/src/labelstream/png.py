"""What is to be known of a PNG file before OpenCV may read it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def is_whole(png: bytes) -> bool:
    """Say whether every chunk ends inside the file, the last one is there, and those of the picture are undamaged.

    OpenCV 5.0 takes a chunk's word for its length and clears that much memory: up to 2 GB for 50 bytes.
    """
    last = b""
    for name, start, end in _spans(png):
        if end > len(png) or (_is_critical(name) and not _is_undamaged(png, start, end)):
            return False
        last = name
    return last == b"IEND"


def depth(png: bytes) -> int:
    """Return the bits of a channel, or of a palette's index."""
    return png[24]  # signature (8), length and type of IHDR (8), width and height (8)


def chunks(png: bytes) -> Iterator[bytes]:
    """Yield the types of the chunks, up to the last one that begins inside the file."""
    return (name for name, _, _ in _spans(png))


def _spans(png: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the type of each chunk, where it begins, and where it says that it ends."""
    at, name = len(SIGNATURE), b""
    while at < len(png) and name != b"IEND":
        start, name = at, png[at + 4 : at + 8]
        at += 12 + int.from_bytes(png[at : at + 4], "big")  # length, type, content, checksum
        yield name, start, at


def _is_critical(name: bytes) -> bool:
    return name[:1].isupper()  # PNG's own sign


def _is_undamaged(png: bytes, start: int, end: int) -> bool:
    return zlib.crc32(memoryview(png)[start + 4 : end - 4]) == int.from_bytes(png[end - 4 : end], "big")
