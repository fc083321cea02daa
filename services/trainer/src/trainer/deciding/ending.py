"""How a job ends, by what its attempts left in the store."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import structlog
from pydantic import TypeAdapter, ValidationError

from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.events.training import TrainingCancelled, TrainingFailed, TrainingFinished, TrainingRequested
from labelstream.jobs.desk import Desk, Standing
from labelstream.trainings import CHECKPOINTS, Ended, JobState
from labelstream.values import FileRef
from trainer.deciding.requests import problems
from trainer.engine.best import Best, read_best
from trainer.orders import CancelMark, Checkpoint, TrainingLeft

STORED = TypeAdapter(list[Checkpoint])
LARGEST_HEADER = 16 << 20  # bytes; those of the largest networks have a tenth

log = structlog.get_logger()


def ending(requested: TrainingRequested, standing: Standing) -> Ended | None:
    """Return the end that an attempt left; None when it left none."""
    job, attempt = requested.job, standing.attempt
    if standing.failure is not None:
        return TrainingFailed(job=job, attempt=attempt, rule=standing.failure.rule, reason=standing.failure.reason)
    if standing.result is None:
        return None
    try:
        left = TrainingLeft.model_validate_json(standing.result)
        found = left.model_dump(exclude_none=True)
        if left.cancelled:
            return TrainingCancelled(job=job, attempt=attempt, **found)
        asked: dict[str, Any] = {"dataset": requested.dataset, "annotated_ms": requested.annotated_ms}
        return TrainingFinished(job=job, attempt=attempt, **asked, **found)
    except ValidationError as error:
        return TrainingFailed(job=job, attempt=attempt, rule="job.unreadable_result", reason=problems(error))


async def left_behind(desk: Desk, blobs: Blobs, state: JobState, mark: CancelMark) -> TrainingCancelled:
    """Return the end of a cancelled job that no worker holds: with the best weights of its newest checkpoint."""
    cancelled = TrainingCancelled(job=state.job, attempt=state.attempt, reason=mark.reason)
    for attempt in range(state.attempt, 0, -1):
        listed = await desk.left(state.project, state.job, attempt, CHECKPOINTS)
        for checkpoint in _checkpoints(listed, state.job):
            best = await _best(blobs, checkpoint.best)
            if best is not None:
                kept = {
                    "weights": checkpoint.best,
                    "architecture": checkpoint.architecture,
                    "best_epoch": best.epoch,
                    "validation": best.validation,
                }
                return cancelled.model_copy(update=kept)
    return cancelled


def _checkpoints(listed: bytes | None, job: str) -> list[Checkpoint]:
    try:
        return STORED.validate_json(listed) if listed else []
    except ValidationError as error:
        log.warning("checkpoints.unreadable", job=job, reason=problems(error))
        return []


async def _best(blobs: Blobs, weights: FileRef) -> Best | None:
    """Return what stored weights say of themselves; None when they are gone, or say nothing."""
    try:
        start = await blobs.get_range(weights.key, 0, min(8, weights.size_bytes))
        size = 8 + int.from_bytes(start, "little")  # safetensors: the header's size, the header, the tensors
        header = await blobs.get_range(weights.key, 0, min(size, weights.size_bytes, LARGEST_HEADER))
        return await asyncio.to_thread(_read, header)
    except (BlobNotFound, ValueError) as error:
        log.warning("checkpoint.unreadable", weights=weights.key, reason=str(error))
        return None


def _read(header: bytes) -> Best:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "header"
        path.write_bytes(header)
        return read_best(path)
