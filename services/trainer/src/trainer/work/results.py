"""What an attempt leaves in the store when it has come to an end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from labelstream.jobs.worker import Attempt
from labelstream.processes import Processes
from labelstream.service.patience import patiently
from labelstream_datasets.loading import load_description
from labelstream_yolo.architecture import read_architecture
from labelstream_yolo.scoring.summary import champion_metrics_from
from labelstream_yolo.scoring.values import Tested
from trainer.engine.contract import ARCHITECTURE, TESTED, WEIGHTS, Kept, TrainingResult
from trainer.orders import TrainingLeft, TrainingOrder
from trainer.reporting import ReportContent, Written, write_report

REPORT_TIMEOUT_S = 600
WHAT = "report"

Write = Callable[[ReportContent, Path], Awaitable[Written]]

log = structlog.get_logger()


async def in_a_child(content: ReportContent, folder: Path) -> Written:
    """Write the report in a child process, which leaves nothing behind in this one."""
    processes = Processes(1, REPORT_TIMEOUT_S)
    try:
        return await processes.run(write_report, content, folder)
    finally:
        await asyncio.to_thread(processes.close)


@dataclass(frozen=True)
class Leaving:
    """Uploads what came out of one attempt; waits while the store is away. Raises LeaseLost."""

    attempt: Attempt
    order: TrainingOrder
    worker: str
    write: Write

    async def finished(self, result: TrainingResult, data: Path) -> TrainingLeft:
        """Leave weights, evaluation and report; `data` is the folder of the dataset."""
        tested = Tested.model_validate_json(await asyncio.to_thread(result.tested.read_bytes))
        left = TrainingLeft(
            weights=await self.attempt.upload(result.weights, WEIGHTS),
            architecture=await self.attempt.upload(result.architecture, ARCHITECTURE),
            evaluation=await self.attempt.upload(result.tested, TESTED),
            best_epoch=result.best_epoch,
            validation=result.validation,
            test=result.test,
            epochs=result.epochs,
            seconds=result.seconds,
            champion=champion_metrics_from(tested.champion) if tested.champion else None,
        )
        written = await self._report(result, tested, data)
        if written is None:
            return left
        report = await self.attempt.upload(written.report, written.report.name)
        card = await self.attempt.upload(written.card, written.card.name)
        return left.model_copy(update={"report": report, "card": card})

    async def cancelled(self, reason: str, kept: Kept | None) -> TrainingLeft:
        """Leave the best weights so far, if an epoch had ended."""
        left = TrainingLeft(cancelled=True, reason=reason)
        if kept is None or not kept.architecture.exists():
            return left
        weights = await self.attempt.upload(kept.weights, WEIGHTS)
        architecture = await self.attempt.upload(kept.architecture, ARCHITECTURE)
        known = {"best_epoch": kept.best_epoch, "validation": kept.validation}
        return left.model_copy(update={"weights": weights, "architecture": architecture, **known})

    async def _report(self, result: TrainingResult, tested: Tested, data: Path) -> Written | None:
        """Write the report; None, and say so, when it can't be written."""
        attempt, order = self.attempt, self.order
        reference = order.dataset.description
        content = ReportContent(
            project=attempt.job.project,
            job=attempt.job.id,
            dataset=await patiently(attempt.health, "object store", lambda: load_description(attempt.blobs, reference)),
            recipe=order.recipe,
            architecture=read_architecture(result.architecture),
            result=result,
            tested=tested,
            images=data / "test" / "images",
            initial=order.recipe.weights,
            warnings=order.warnings,
            attempt=attempt.number,
            worker=self.worker,
            ended=datetime.now(UTC),
        )
        try:
            written = await self.write(content, result.weights.parent / "report")
        except Exception as error:  # hours of training are not lost for the want of a page about them
            log.error("report.not_written", job=attempt.job.id, exc_info=error)
            attempt.health.degraded(WHAT, f"the report of {attempt.job.id} could not be written: {error!r}")
            return None
        attempt.health.degraded(WHAT, None)
        return written
