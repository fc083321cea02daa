"""What counts as the want of memory."""

from __future__ import annotations

import errno

import pytest

from labelstream_yolo.engine import EngineFailure
from trainer.engine.memory import telling_what_may_pass

WANT = {
    "cuda": RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "cpu": RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    "cublas": RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"),
    "cudnn": RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR"),
    "cudnn-engine": RuntimeError("GET was unable to find an engine to execute this computation"),
    "python": MemoryError(),
    "kernel": OSError(errno.ENOMEM, "Cannot allocate memory"),
}


@pytest.mark.parametrize("error", WANT.values(), ids=WANT)
def test_less_at_once_may_work_after_what_means_want_of_memory(error: Exception):
    with pytest.raises(EngineFailure, match="out-of-memory"), telling_what_may_pass():
        raise error


@pytest.mark.parametrize("said", ["CUDA error: unspecified launch failure", "NCCL error in: ProcessGroup, unhandled"])
def test_a_fault_of_an_accelerator_wants_another_process(said: str):
    with pytest.raises(EngineFailure, match=f"engine-died: {said}"), telling_what_may_pass():
        raise RuntimeError(said)


def test_another_error_stays_what_it_is():
    with pytest.raises(RuntimeError, match="shapes"), telling_what_may_pass():
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
