"""The images that formats are proved and calibrated on, fetched once for all formats of a training.

FOLDER/proof-<count>.json         the chosen test images with their labels, and where below FOLDER they lie
FOLDER/calibration-<count>.json   the chosen training images
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path, PurePosixPath

import structlog
from pydantic import ValidationError

from exporter.work.choosing import calibration_rows, proof_rows
from exporter.work.unpacking import Unpacked, unpack
from labelstream import keys
from labelstream.blobs.checked import download_checked
from labelstream.blobs.ports import Blobs
from labelstream.errors import Rejected
from labelstream.events.training import DatasetRef
from labelstream.labels import Box
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream.values import FileRef, Value
from labelstream_datasets.description import DatasetDescription
from labelstream_datasets.loading import load_description, load_manifest
from labelstream_datasets.manifest import Manifest, Row

STORE = "object store"

log = structlog.get_logger()


class Sample(Value):
    """An image below the folder, and the stored one that it is."""

    path: str
    image: FileRef
    boxes: tuple[Box, ...] = ()


class Samples(Value):
    """What was chosen and fetched."""

    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class Fetching:
    """Fetches images of one dataset into a folder of its own, and waits while the store is away."""

    blobs: Blobs
    health: Health
    project: str
    dataset: DatasetRef
    folder: Path

    async def proof(self, count: int) -> tuple[Sample, ...]:
        """Return test images with their labels. Raises Rejected when there are none any more."""
        return await self._once(f"proof-{count}.json", lambda: self._proof(count))

    async def calibration(self, count: int) -> tuple[Sample, ...]:
        """Return training images; fewer when the dataset has not so many. Raises Rejected."""
        return await self._once(f"calibration-{count}.json", lambda: self._calibration(count))

    async def _once(self, mark: str, fetch: Callable[[], Awaitable[list[Sample]]]) -> tuple[Sample, ...]:
        """Return what was fetched before if it is still there; else fetch it."""
        known = await asyncio.to_thread(_noted, self.folder, mark)
        if known is not None:
            return known
        samples = Samples(samples=tuple(await fetch()))
        await asyncio.to_thread(_note, self.folder / mark, samples)
        return samples.samples

    async def _proof(self, count: int) -> list[Sample]:
        said, manifest = await self._dataset()
        rows = sorted(await asyncio.to_thread(proof_rows, manifest, count), key=attrgetter("archive"))
        samples: list[Sample] = []
        for archive, group in groupby(rows, key=attrgetter("archive")):
            folder = self.folder / "proof" / PurePosixPath(archive).stem
            unpacked = await unpack(self.blobs, self.health, list(group), said.rules, folder)
            samples += [self._proved(each) for each in unpacked]
        if not samples:
            raise Rejected("dataset.no_test_images", "no test image is left of the dataset", "Build a new dataset.")
        return sorted(samples, key=lambda sample: sample.image.sha256)

    def _proved(self, each: Unpacked) -> Sample:
        image = self._stored(each.row, each.path.stat().st_size)
        return Sample(path=str(each.path.relative_to(self.folder)), image=image, boxes=each.boxes)

    async def _calibration(self, count: int) -> list[Sample]:
        _, manifest = await self._dataset()
        samples: list[Sample] = []
        rows = iter(calibration_rows(manifest))
        while len(samples) < count and (row := await asyncio.to_thread(next, rows, None)) is not None:
            sample = await self._image(row)
            samples += [sample] if sample is not None else []
        return samples

    async def _image(self, row: Row) -> Sample | None:
        """Fetch an original; None when the store does not have it any more: it was erased."""
        stored = self._stored(row, 0)
        path = self.folder / "images" / PurePosixPath(stored.key).name
        try:
            await patiently(self.health, STORE, lambda: download_checked(self.blobs, stored, path))
        except Rejected as error:
            log.info("image.passed_over", image=row.image, reason=error.reason)
            return None
        return Sample(path=str(path.relative_to(self.folder)), image=self._stored(row, path.stat().st_size))

    def _stored(self, row: Row, size_bytes: int) -> FileRef:
        key = keys.image(self.project, row.image, PurePosixPath(row.path).suffix.removeprefix("."))
        return FileRef(key=key, sha256=row.image, size_bytes=size_bytes)

    async def _dataset(self) -> tuple[DatasetDescription, Manifest]:
        reference = self.dataset.description
        said = await patiently(self.health, STORE, lambda: load_description(self.blobs, reference))
        return said, await patiently(self.health, STORE, lambda: load_manifest(self.blobs, said))


def _noted(folder: Path, mark: str) -> tuple[Sample, ...] | None:
    try:
        samples = Samples.model_validate_json((folder / mark).read_bytes()).samples
    except (FileNotFoundError, ValidationError):
        return None
    whole = all(_has(folder / sample.path, sample.image.size_bytes) for sample in samples)
    return samples if whole else None


def _has(path: Path, size_bytes: int) -> bool:
    return path.is_file() and path.stat().st_size == size_bytes


def _note(path: Path, samples: Samples) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".half")
    half.write_text(samples.model_dump_json(by_alias=True))
    half.replace(path)
