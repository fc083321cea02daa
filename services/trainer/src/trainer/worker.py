"""Trains: the worker's side of a training job."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path

import orjson
import structlog

from labelstream.blobs.ports import Blobs
from labelstream.errors import Rejected
from labelstream.jobs.worker import Attempt, TryAgain
from labelstream.service.health import Health
from labelstream_datasets.layout.materialise import materialise
from trainer.engine.contract import ARCHITECTURE, WEIGHTS, Progress, TrainingSpec
from trainer.engine.process import EngineFailedError, run_training
from trainer.orders import PROGRESS, TrainingLeft, TrainingOrder

log = structlog.get_logger()


@dataclass(frozen=True)
class TrainingWork:
    """Lays the dataset out on disk, trains in a subprocess, leaves weights and metrics in the store."""

    blobs: Blobs
    health: Health
    scratch: Path

    async def do(self, attempt: Attempt) -> TrainingLeft:
        """Train one job; a job that was interrupted on this machine goes on from its checkpoint."""
        job = attempt.job
        order = TrainingOrder.model_validate(job.payload)
        folder = await materialise(
            self.blobs,
            self.health,
            order.dataset.description,
            self.scratch / "datasets" / order.dataset.id,
            replace=True,
        )
        out_dir = self.scratch / "jobs" / job.id
        epochs: list[Progress] = []

        async def on_progress(progress: Progress) -> None:
            epochs.append(progress)
            log.info("epoch.ended", job=job.id, **progress.model_dump(include={"epoch", "epochs", "map50"}))
            await attempt.put(PROGRESS, orjson.dumps([e.model_dump() for e in epochs]))

        spec = TrainingSpec(data=folder, recipe=order.recipe, out_dir=out_dir)
        try:
            result = await run_training(spec, on_progress, asyncio.Event())
        except EngineFailedError as error:
            log.warning("engine.failed", job=job.id, rule=error.rule, reason=error.reason, tail=error.log_tail)
            if error.rule == "engine-died":
                raise TryAgain(error.reason) from error
            raise Rejected(f"training.{error.rule}", error.reason, "The worker's log has more.") from error
        left = TrainingLeft(
            weights=await attempt.upload(result.weights, WEIGHTS),
            architecture=await attempt.upload(result.architecture, ARCHITECTURE),
            best_epoch=result.best_epoch,
            validation=result.validation,
            test=result.test,
        )
        await asyncio.to_thread(shutil.rmtree, out_dir, ignore_errors=True)
        return left
