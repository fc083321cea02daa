"""Runs the training engine as a subprocess. Imports no torch."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from labelstream_yolo.child import Engine, EngineCancelledError, EngineFailedError
from trainer.engine.contract import PROGRESS, Progress, TrainingResult, TrainingSpec

__all__ = ["EngineCancelledError", "EngineFailedError", "run_training"]


async def run_training(
    spec: TrainingSpec, on_progress: Callable[[Progress], Awaitable[None]], cancelled: asyncio.Event
) -> TrainingResult:
    """Train as `spec` says, in a subprocess that dies with this process; `on_progress` hears of each epoch once.

    Raises EngineFailedError with the rule, the reason and the log's tail, and EngineCancelledError once `cancelled`
    is set. However it ends, the subprocess is gone; run again with the same spec, it goes on from its checkpoint.
    """

    async def on_line(line: bytes) -> None:
        await on_progress(Progress.model_validate_json(line))

    engine = Engine("trainer.engine", spec, spec.out_dir, spec.out_dir / PROGRESS)
    return TrainingResult.model_validate(await engine.run(on_line, cancelled))
