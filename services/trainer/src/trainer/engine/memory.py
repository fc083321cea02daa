"""How much memory a training takes, and how its want and the faults of accelerators are told."""

from __future__ import annotations

import errno
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from labelstream_yolo.engine import EngineFailure
from trainer.engine.recovering import DIED, OUT_OF_MEMORY

# What torch and the accelerators' libraries say for want of memory; for these they have no type of their own.
_WANT_OF_MEMORY = (
    "out of memory", "can't allocate memory", "not enough memory", "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR", "unable to find an engine",  # of cuDNN, which has no room for what it would try
)  # fmt: skip
# What they say when a kernel, a link or the device itself failed: whatever comes after it in the process fails, too.
_FAULTS = ("CUDA error", "NCCL error", "NCCL Error")


def peak_memory_bytes(device: torch.device) -> int:
    """Return the most held so far: of the accelerator, else of this process."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_reserved(device))
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _is_want_of_memory(error: Exception) -> bool:
    """Say whether `error` means that less at once might work."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    # torch's allocator for the CPU raises a plain RuntimeError: there is nothing but its words to know it by
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WANT_OF_MEMORY)


@contextmanager
def telling_what_may_pass() -> Iterator[None]:
    """Tell what another process may get over as EngineFailure.

    `out-of-memory` where less at once might work, `engine-died` where an accelerator is of no more use to this process.
    """
    try:
        yield
    except (MemoryError, OSError, RuntimeError) as error:
        said = str(error).partition("\n")[0] or type(error).__name__
        if _is_want_of_memory(error):
            raise EngineFailure(OUT_OF_MEMORY, said) from error
        if isinstance(error, RuntimeError) and any(words in str(error) for words in _FAULTS):
            raise EngineFailure(DIED, said) from error
        raise
