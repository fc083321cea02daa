"""Gives memory back to the system after a model was loaded or let go."""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Return what the C allocator keeps of freed memory; where it has no such call, it does so by itself."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc; found once, by the loader's own table
    if trim is not None:
        trim(0)
