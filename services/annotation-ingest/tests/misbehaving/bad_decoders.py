"""Decoders that go wrong, for the child processes to run."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from annotation_ingest.images.imaging import Picture, Refusal, look


def crash_on_poison(data: bytes, max_pixels: int) -> Picture | Refusal:
    """End the process, as a fault in C code would, on data that begins with `poison`."""
    if data.startswith(b"poison"):
        os.abort()
    return look(data, max_pixels)


def be_killed_once(data: bytes, max_pixels: int) -> Picture | Refusal:
    """End the process the first time, as the kernel does when memory is short."""
    mark = Path(os.environ["KILLED_MARK"])
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return look(data, max_pixels)


def hang_on_poison(data: bytes, max_pixels: int) -> Picture | Refusal:
    """Never return on data that begins with `poison`."""
    while data.startswith(b"poison"):
        time.sleep(60)
    return look(data, max_pixels)


def hang_until_allowed(data: bytes, max_pixels: int) -> Picture | Refusal:
    """Return on data that begins with `poison` once somebody has made the mark."""
    while data.startswith(b"poison") and not Path(os.environ["ALLOWED_MARK"]).exists():
        time.sleep(0.01)
    return look(data, max_pixels)


def swell_on_poison(data: bytes, max_pixels: int) -> Picture | Refusal:
    """Ask for 3 GB, untouched, on data that begins with `poison`."""
    if data.startswith(b"poison"):
        bytearray(3 << 30)
    return look(data, max_pixels)
