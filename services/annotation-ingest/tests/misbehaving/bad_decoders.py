"""Decoders that go wrong, for the child processes to run."""

from __future__ import annotations

import os
import time

from annotation_ingest.imaging import Picture, Refusal, look


def crash_on_poison(data: bytes, max_pixels: int) -> Picture | Refusal:
    """End the process, as a fault in C code would, on data that begins with `poison`."""
    if data.startswith(b"poison"):
        os.abort()
    return look(data, max_pixels)


def hang_on_poison(data: bytes, max_pixels: int) -> Picture | Refusal:
    """Never return on data that begins with `poison`."""
    while data.startswith(b"poison"):
        time.sleep(60)
    return look(data, max_pixels)
