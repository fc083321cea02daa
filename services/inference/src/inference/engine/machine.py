"""What of this machine runs networks."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

from inference.engine.adapters.cuda import Gpu, find_gpu

Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class Machine:
    """What runs networks here."""

    threads: int = 1  # cores to use
    gpu: Gpu | None = None  # the one to use
    cpu: bool = True  # whether networks may run on the cores
    max_batch: int = 16  # images that a GPU takes at once, at most
    spread: bool = True  # whether a run that is alone takes all cores: that needs the network's memory again

    @classmethod
    def of(cls, device: Device, threads: int | None, max_batch: int, *, spread: bool) -> Machine:
        """Look at this machine; `threads`: cores to use, None: all that the process may use."""
        gpu = None if device == "cpu" else find_gpu()
        return cls(threads or cores(), gpu, device != "cuda", max_batch, spread)

    @property
    def no_cpu(self) -> str | None:
        """Say why networks don't run on the cores."""
        return None if self.cpu else "the setting DEVICE is cuda, and this runs on the CPU"


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
