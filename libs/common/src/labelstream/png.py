"""What is to be known of a PNG file before OpenCV may read it."""

from __future__ import annotations

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def is_whole(png: bytes) -> bool:
    """Say whether every chunk ends inside the file, and the last one is there.

    OpenCV 5.0 takes a chunk's word for its length and clears that much memory: up to 2 GB for 50 bytes.
    """
    at = len(SIGNATURE)
    while png[at + 4 : at + 8] != b"IEND":
        at += 12 + int.from_bytes(png[at : at + 4], "big")  # length, type, content, checksum
        if at >= len(png):
            return False
    return True
