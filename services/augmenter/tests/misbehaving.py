"""What worker processes are given to run when they shall misbehave."""

from __future__ import annotations

import os
import threading

from augmenter.rendering import Rendering


def render(encoded: bytes, *_: object) -> Rendering:
    """Die of b"die", never end with b"slow", make nothing of anything else."""
    if encoded == b"die":
        os._exit(11)
    if encoded == b"slow":
        threading.Event().wait()
    return Rendering((), "0" * 16)
