"""A worker on doubles: a stored dataset whose archives are real, and an engine that exports nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from exporter.engine.contract import ExportResult, ExportSpec, GoldenAnswer
from exporter.exporting.limits import DEFAULTS
from exporter.exporting.orders import ExportLeft, ExportOrder
from exporter.work.scratch import Scratch
from exporter.work.worker import ExportWork
from labelstream import keys
from labelstream.blobs.memory import MemoryBlobs
from labelstream.bundle import ArtifactFacts, Reference
from labelstream.classes import ClassSchema
from labelstream.events.annotation import ImageRef
from labelstream.events.model import Agreement
from labelstream.events.training import DatasetRef
from labelstream.formats import Format
from labelstream.jobs.ports import Job
from labelstream.jobs.worker import Attempt
from labelstream.labels import Box, labels_digest
from labelstream.service.health import Health
from labelstream.values import FileRef, Position, Split, sha256_hex
from labelstream_datasets.archives.contents import ArchiveWriter
from labelstream_datasets.description import DatasetDescription
from labelstream_datasets.manifest import Manifest, Row
from labelstream_datasets.store import BuiltDataset, store

PROJECT, RECIPE = "default", "0" * 64
AGREES = Agreement(images=4, boxes=9, unmatched=0, max_box_px=0.01, max_score=0.001)


def picture(number: int) -> bytes:
    return f"image {number}".encode()


REFERENCE = Reference(images=4, detections=5, class_counts={0: 2, 1: 3}, confidences=(0,) * 19 + (5,))


def digest(number: int) -> str:
    return sha256_hex(picture(number))


def by_digest(numbers: Sequence[int]) -> list[int]:
    return sorted(numbers, key=digest)


def shapes(number: int) -> tuple[Box, ...]:
    return tuple(Box(class_id=number % 2, x=0.5, y=0.5, w=0.1 * n, h=0.1) for n in range(1, 1 + number % 3))


@dataclass
class Engine:
    """Exports nothing, and says how it agrees."""

    agreement: Agreement | None = AGREES
    specs: list[ExportSpec] = field(default_factory=list)

    async def __call__(self, spec: ExportSpec) -> ExportResult:
        assert all(each.path.is_file() for each in spec.images)
        assert all(path.is_file() for path in spec.calibration)
        self.specs.append(spec)
        spec.out_dir.mkdir()
        artifact, worst = spec.out_dir / "model.bin", spec.out_dir / "worst.png"
        artifact.write_bytes(b"a network")
        worst.write_bytes(b"PNG")
        wanted = Format.parse(spec.format)
        facts = ArtifactFacts(
            name=wanted.name, format=wanted.family, precision=wanted.precision, input="", output="",
            agreement=self.agreement, unproven="" if self.agreement else "no GPU is here",
        )  # fmt: skip
        return ExportResult(
            artifact=artifact,
            facts=facts,
            image_size=64,
            names=("car", "bus"),
            golden=tuple(GoldenAnswer(image=each.path, boxes=()) for each in spec.images[: spec.golden]),
            reference=REFERENCE,
            picture=worst if self.agreement else None,
            versions={"onnx": "1"},
        )


@dataclass
class Bench:
    """What a worker works with."""

    folder: Path
    blobs: MemoryBlobs = field(default_factory=MemoryBlobs)
    engine: Engine = field(default_factory=Engine)
    health: Health = field(default_factory=Health)
    rows: list[Row] = field(default_factory=list)
    dataset: DatasetRef | None = None

    async def archived(self, split: Split, numbers: Sequence[int]) -> str:
        """Store images with labels, and an archive that holds them with one variant each; return its key."""
        writer = ArchiveWriter(RECIPE)
        key = keys.archive(PROJECT, sha256_hex(f"{split} {numbers}".encode()))
        for number in numbers:
            stored = await self._stored(number)
            made = [(picture(number), shapes(number)), (b"a variant", shapes(number))]
            writer.add(stored, labels_digest(shapes(number)), made, None)
        contents, archive = writer.finish()
        assert archive is not None
        await self.blobs.put(key, archive)
        file = FileRef.of(key, archive)
        self.rows += [
            Row(
                image=made.image, labels=made.labels, recipe=RECIPE, variant=variant.variant, split=split,
                name=made.image[:8], medium="m", archive=key, archive_sha256=file.sha256,
                archive_bytes=file.size_bytes, path=variant.image_path, boxes=variant.boxes, sha256=variant.sha256,
            )
            for made in contents.made
            for variant in made.variants
            if split == "train" or variant.variant == 0
        ]  # fmt: skip
        return key

    async def _stored(self, number: int) -> ImageRef:
        key = keys.image(PROJECT, digest(number), "jpg")
        await self.blobs.put(key, picture(number))
        file = FileRef.of(key, picture(number))
        return ImageRef(**file.model_dump(), format="jpeg", width=64, height=64)

    async def built(self, **options: object) -> DatasetRef:
        """Store the dataset of what was archived."""
        manifest = Manifest.of(self.rows)
        description = DatasetDescription(
            id=manifest.id, project=PROJECT, cut=Position(stream="annotation-events", offset=9),
            class_schema=ClassSchema(name="cars", classes=("car", "bus")), recipe=RECIPE, salt="s", counts={},
            **options,
        )  # fmt: skip
        self.dataset = await store(self.blobs, BuiltDataset(description, manifest))
        return self.dataset

    async def exported(self, format_name: str = "onnx-fp32", job: str = "job", **order: object) -> ExportLeft:
        """Do an export job."""
        attempt = Attempt(await self.job(format_name, job, **order), 1, self.blobs, self.health)
        return await self.work().do(attempt)

    def work(self, keep_datasets: int = 2) -> ExportWork:
        scratch = Scratch(self.folder, keep_datasets)
        return ExportWork(self.blobs, self.health, scratch, "w1", export=self.engine, room_pause_s=0)

    async def job(self, format_name: str, job: str, **changes: object) -> Job:
        wanted = Format.parse(format_name)
        for key in ("weights", "architecture"):
            await self.blobs.put(key, key.encode())
        assert self.dataset is not None
        order = ExportOrder(
            format=format_name,
            weights=FileRef.of("weights", b"weights"),
            architecture=FileRef.of("architecture", b"architecture"),
            dataset=self.dataset,
            limits=DEFAULTS[wanted.precision],
            confidence=0.25,
            iou=0.45,
            golden_images=2,
            proof_images=4,
        ).model_copy(update=changes)
        return Job(project=PROJECT, id=job, payload=order.model_dump(mode="json"))
