"""Builds and proves one format: the worker's side of an export job. Holds no keys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from exporter.engine.contract import ExportResult, ExportSpec, ProofImage
from exporter.engine.process import EngineFailedError, run_export
from exporter.exporting.limits import disagreement
from exporter.exporting.orders import ExportLeft, ExportOrder, GoldenAnswer
from exporter.work.samples import STORE, Fetching, Sample
from exporter.work.scratch import Scratch
from labelstream.blobs.checked import download_checked
from labelstream.blobs.ports import Blobs
from labelstream.errors import Rejected
from labelstream.jobs.worker import Attempt, TryAgain
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.values import FileRef
from labelstream_yolo.engine import DISK_FULL, lack_of_room

LIMIT_S = 3 * 3600.0  # for building and proving: an engine that hangs would keep the worker from everything else
ROOM_PAUSE_S = 30.0
_FULL = "disk.full"  # as labelstream_datasets calls it
_TRIED_AGAIN = ("engine-died", "engine-error")  # the machine's fault, as far as is known

log = structlog.get_logger()


@dataclass(frozen=True)
class ExportWork:
    """Exports trained weights to a format, and has it compared with them on real test images."""

    blobs: Blobs
    health: Health
    scratch: Scratch
    worker: str
    rknn_python: Path | None = None
    export: Callable[[ExportSpec], Awaitable[ExportResult]] = run_export
    limit_s: float = LIMIT_S
    room_pause_s: float = ROOM_PAUSE_S

    async def do(self, attempt: Attempt) -> ExportLeft:
        """Export one job; leave the artifact, its agreement and the golden answers in the store.

        A full disk is no verdict on a format: the job is handed back, as often as it takes. Raises Rejected, TryAgain.
        """
        try:
            left = await self._done(attempt)
        except (OSError, Rejected) as error:
            full = _lack_of_room(error, self.scratch.root)
            if full is None:
                raise
            self.health.degraded("disk", full)
            await asyncio.sleep(self.room_pause_s)
            attempt.went_on()
            raise TryAgain(full) from error
        self.health.degraded("disk", None)
        return left

    async def _done(self, attempt: Attempt) -> ExportLeft:
        order = ExportOrder.model_validate(attempt.job.payload)
        log.info("export.started", job=attempt.job.id, format=order.format, attempt=attempt.number)
        with self.scratch.job(attempt.job.id) as folder, self.scratch.dataset(order.dataset.id) as samples:
            fetching = Fetching(self.blobs, self.health, attempt.job.project, order.dataset, samples)
            proof = {samples / each.path: each for each in await fetching.proof(order.proof_images)}
            calibration = await fetching.calibration(order.calibration_images) if order.calibration_images else ()
            spec = ExportSpec(
                format=order.format,
                weights=await self._fetch(order.weights, folder / "weights.safetensors"),
                architecture=await self._fetch(order.architecture, folder / "architecture.json"),
                images=tuple(ProofImage(path=path, boxes=each.boxes) for path, each in proof.items()),
                calibration=tuple(samples / each.path for each in calibration),
                golden=order.golden_images,
                confidence=order.confidence,
                iou=order.iou,
                rknn_python=self.rknn_python,
                out_dir=folder / "out",
            )
            began = time.monotonic()
            result = await self._export(attempt, spec)
            return await _leave(attempt, order, result, proof, self.worker, time.monotonic() - began)

    async def _export(self, attempt: Attempt, spec: ExportSpec) -> ExportResult:
        try:
            async with asyncio.timeout(self.limit_s):
                return await self.export(spec)
        except TimeoutError as error:
            reason = f"it was not built and proved within {self.limit_s:g} s"
            raise Rejected(
                "export.took_too_long", reason, "Look at the worker; EXPORT_LIMIT_S gives it more."
            ) from error
        except EngineFailedError as error:
            log.warning("engine.failed", job=attempt.job.id, rule=error.rule, reason=error.reason, tail=error.log_tail)
            if error.rule == DISK_FULL:
                raise Rejected(_FULL, error.reason, "Make room on the worker's disk.") from error
            if error.rule in _TRIED_AGAIN:
                raise TryAgain(error.reason) from error
            raise Rejected(f"export.{error.rule}", error.reason, "The worker's log has more.") from error

    async def _fetch(self, file: FileRef, path: Path) -> Path:
        """Download a file; waits while the store is away. Raises Rejected when it is not what its name says."""
        return await patiently(self.health, STORE, lambda: download_checked(self.blobs, file, path))


def _lack_of_room(error: OSError | Rejected, folder: Path) -> str | None:
    """Say in words that an error comes of a full disk; None when it does not."""
    if isinstance(error, Rejected) and error.rule == _FULL:
        return error.reason
    return lack_of_room(error, folder)


async def _leave(
    attempt: Attempt, order: ExportOrder, result: ExportResult, proof: dict[Path, Sample], worker: str, seconds: float
) -> ExportLeft:
    """Put what was made into the store; a picture only where it shows what is wrong."""
    facts = result.facts.model_copy(update={"limits": order.limits if result.facts.agreement else None})
    picture = None
    if facts.agreement and result.picture and disagreement(facts.agreement, order.limits):
        picture = await attempt.upload(result.picture, "worst.png")
    return ExportLeft(
        artifact=await attempt.upload(result.artifact, f"{order.format}{result.artifact.suffix}"),
        facts=facts,
        golden=tuple(GoldenAnswer(image=proof[each.image].image, boxes=each.boxes) for each in result.golden),
        image_size=result.image_size,
        confidence=order.confidence,
        iou=order.iou,
        versions=result.versions,
        reference=result.reference,
        picture=picture,
        seconds=seconds,
        worker=worker,
    )
