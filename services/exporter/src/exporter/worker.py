"""Exports and proves: the worker's side of an export job. Holds no keys."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from exporter.engine.contract import ExportSpec
from exporter.engine.process import EngineFailedError, run_export
from labelstream import keys
from labelstream.blobs.checked import download_checked
from labelstream.blobs.ports import Blobs
from labelstream.errors import Rejected
from labelstream.events.model import Agreement
from labelstream.events.training import DatasetRef
from labelstream.jobs.worker import Attempt, TryAgain
from labelstream.labels import Box
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.values import FileRef, Value
from labelstream_datasets.loading import load_description, load_manifest

ONNX_FP32 = "onnx-fp32"
QUEUE = "jobs.export.onnx"
STORE = "object store"

log = structlog.get_logger()


class ExportOrder(Value):
    """What an export job asks for."""

    weights: FileRef
    architecture: FileRef
    dataset: DatasetRef
    confidence: float
    iou: float
    golden_images: int
    proof_images: int


class GoldenAnswer(Value):
    """A stored test image and the boxes that the exported format finds in it."""

    image: FileRef
    boxes: tuple[Box, ...]


class ExportLeft(Value):
    """What a finished attempt leaves for the decider."""

    artifact: FileRef
    agreement: Agreement
    golden: tuple[GoldenAnswer, ...]
    image_size: int
    versions: dict[str, str]


@dataclass(frozen=True)
class ExportWork:
    """Exports the trained weights to ONNX and compares both on real test images."""

    blobs: Blobs
    health: Health
    scratch: Path

    async def do(self, attempt: Attempt) -> ExportLeft:
        """Export one job and leave the artifact, its agreement and the golden answers in the store."""
        order = ExportOrder.model_validate(attempt.job.payload)
        folder = self.scratch / attempt.job.id
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        weights = await self._fetch(order.weights, folder / "weights.safetensors")
        architecture = await self._fetch(order.architecture, folder / "architecture.json")
        images = await self._test_images(attempt.job.project, order, folder / "images")
        spec = ExportSpec(
            weights=weights,
            architecture=architecture,
            test_images=tuple(images),
            golden=order.golden_images,
            confidence=order.confidence,
            iou=order.iou,
            out_dir=folder / "out",
        )
        try:
            result = await run_export(spec)
        except EngineFailedError as error:
            log.warning("engine.failed", job=attempt.job.id, rule=error.rule, reason=error.reason, tail=error.log_tail)
            if error.rule == "engine-died":
                raise TryAgain(error.reason) from error
            raise Rejected(f"export.{error.rule}", error.reason, "The worker's log has more.") from error
        left = ExportLeft(
            artifact=await attempt.upload(result.artifact, "onnx-fp32.onnx"),
            agreement=result.agreement,
            golden=tuple(GoldenAnswer(image=images[each.image], boxes=each.boxes) for each in result.golden),
            image_size=result.image_size,
            versions=result.versions,
        )
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        return left

    async def _test_images(self, project: str, order: ExportOrder, folder: Path) -> dict[Path, FileRef]:
        """Fetch the dataset's test images, at most `proof_images`, in the order of their digests."""
        reference = order.dataset.description
        description = await patiently(self.health, STORE, lambda: load_description(self.blobs, reference))
        manifest = await patiently(self.health, STORE, lambda: load_manifest(self.blobs, description))
        rows = sorted(manifest.rows(["test"]), key=lambda row: row.image)[: order.proof_images]
        return await self._fetch_images(project, [(row.image, Path(row.path).suffix) for row in rows], folder)

    async def _fetch_images(self, project: str, images: Sequence[tuple[str, str]], folder: Path) -> dict[Path, FileRef]:
        fetched: dict[Path, FileRef] = {}
        for digest, suffix in images:
            key = keys.image(project, digest, suffix.removeprefix("."))
            path = await self._fetch(FileRef(key=key, sha256=digest, size_bytes=0), folder / f"{digest}{suffix}")
            fetched[path] = FileRef(key=key, sha256=digest, size_bytes=path.stat().st_size)
        return fetched

    async def _fetch(self, file: FileRef, path: Path) -> Path:
        """Download a file; waits while the store is away. Raises Rejected when it is not what its name says."""
        return await patiently(self.health, STORE, lambda: download_checked(self.blobs, file, path))
