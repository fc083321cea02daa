"""Finished trainings and what they left in the store, for tests of erasing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from labelstream import keys
from labelstream.blobs.memory import MemoryBlobs
from labelstream.blobs.ports import Blob
from labelstream.errors import Unavailable
from labelstream.events.base import ANNOTATION_EVENTS, Event
from labelstream.events.batch import BatchAugmented, Range, Stayed
from labelstream.events.envelope import Envelope
from labelstream.events.training import DatasetRef, TrainingFinished, TrainingRequested, TrainingStarted
from labelstream.trainings import JobBook
from labelstream.values import FileRef, Position, sha256_hex
from labelstream_datasets.archives.names import stem_of
from labelstream_datasets.building.index import BatchIndex
from labelstream_yolo.scoring import values
from trainer.erasing import ReportEraser
from trainer.reporting.erased import images_in_evaluation, images_in_page

from .deeds import METRICS

LABELS, OTHER_LABELS = sha256_hex(b"labels"), sha256_hex(b"other labels")
GONE, ALSO_GONE, STAYS = (sha256_hex(name) for name in (b"gone", b"also gone", b"stays"))
EVERY = (GONE, ALSO_GONE, STAYS)
CUT = 100  # of the datasets; erasures come after it unless a test says otherwise


def file_of(image: str, labels: str = LABELS) -> str:
    return f"{stem_of(image, labels)}_0.png"


def page(images: Collection[str]) -> bytes:
    shots = [f'<figure data-image="{name}"><img src="data:image/jpeg;base64,{name}"></figure>' for name in images]
    return "\n".join(["<h1>report</h1>", *shots, "<p>end</p>"]).encode()


def evaluation(images: Collection[str]) -> bytes:
    score = values.Score(images=3, boxes=3, map50=0.5, map50_95=0.3, precision=0.5, recall=0.5)
    measured = values.Evaluation(
        split="test",
        score=score,
        confidence=0.3,
        classes=(),
        slices=(),
        confusion=values.Confusion(names=(), counts=()),
        resamples=0,
    )
    shown = tuple(values.ImageResult(image=name, quality=1.0, truths=(), boxes=()) for name in images)
    return values.Tested(model=measured, images=shown).model_dump_json().encode()


@dataclass
class Counting(MemoryBlobs):
    """A store that remembers what was read, and goes away after some writes."""

    writes_left: int = 1000
    writes: int = 0
    read: list[str] = field(default_factory=list)

    async def get(self, key: str, most_bytes: int | None = None) -> Blob:
        self.read.append(key.rpartition("/")[2])
        return await super().get(key, most_bytes)

    async def create(self, key: str, data: bytes) -> str | None:
        self._count()
        return await super().create(key, data)

    async def replace(self, key: str, data: bytes, etag: str) -> str:
        self._count()
        return await super().replace(key, data, etag)

    def _count(self) -> None:
        if self.writes_left == 0:
            raise Unavailable("store", "gone")
        self.writes_left -= 1
        self.writes += 1


@dataclass
class World:
    """Streams and store, and erasers that start with them."""

    blobs: Counting = field(default_factory=Counting)
    book: JobBook = field(default_factory=JobBook)
    index: BatchIndex = field(default_factory=BatchIndex)
    offset: int = 0

    def eraser(self) -> ReportEraser:
        """As after a restart."""
        return ReportEraser(self.book, self.index, self.blobs, ("default",))

    def say(self, event: Event, project: str = "default") -> None:
        self.offset += 1
        envelope = Envelope.of(event, source="test", answers=f"{self.offset}", project=project)
        fold = self.index.fold if isinstance(event, BatchAugmented) else self.book.fold
        fold(self.offset, envelope)

    def erase(self, *images: str, at: int = CUT + 1, stayed: Sequence[Stayed] = (), project: str = "default") -> None:
        given = Range(stream=ANNOTATION_EVENTS, first=0, last=at)
        recipe = sha256_hex(b"recipe")
        self.say(BatchAugmented(input=given, recipe=recipe, erased_images=images, stayed=tuple(stayed)), project)

    async def leave(self, job: str, files: Collection[str], attempt: int = 1) -> tuple[FileRef, FileRef]:
        """Leave what an attempt leaves."""
        made = []
        for name, data in (("report.html", page(files)), ("evaluation.json", evaluation(files))):
            key = keys.attempt("default", job, attempt, name)
            await self.blobs.put(key, data)
            made.append(FileRef.of(key, data))
        return made[0], made[1]

    def begin(self, job: str, cut: int = CUT, attempts: int = 1) -> DatasetRef:
        dataset = DatasetRef(
            id="d",
            description=FileRef.of("d", b"d"),
            cut=Position(stream=ANNOTATION_EVENTS, offset=cut),
            samples={},
            test_images=3,
        )
        digest = sha256_hex(b"recipe")
        self.say(TrainingRequested(job=job, cause="request", dataset=dataset, recipe={}, recipe_digest=digest))
        for number in range(1, attempts + 1):
            self.say(TrainingStarted(job=job, attempt=number, worker="w"))
        return dataset

    async def train(
        self, job: str, images: Collection[str] = EVERY, cut: int = CUT, attempt: int = 1, labels: str = LABELS
    ) -> TrainingFinished:
        dataset = self.begin(job, cut, attempt)
        report, measured = await self.leave(job, [file_of(image, labels) for image in images], attempt)
        weights = FileRef.of("w", b"w")
        finished: dict[str, Any] = {"validation": METRICS, "test": METRICS, "report": report, "evaluation": measured}
        event = TrainingFinished(
            job=job, attempt=attempt, dataset=dataset, weights=weights, architecture=weights, best_epoch=1, **finished
        )
        self.say(event)
        return event

    async def shown(self, job: str, attempt: int = 1) -> tuple[frozenset[str], frozenset[str]]:
        """The images in report and evaluation."""
        page_, evaluation_ = [
            (await MemoryBlobs.get(self.blobs, keys.attempt("default", job, attempt, name))).data
            for name in ("report.html", "evaluation.json")
        ]
        return images_in_page(page_), images_in_evaluation(evaluation_)


def both(*images: str, labels: str = LABELS) -> tuple[frozenset[str], frozenset[str]]:
    files = frozenset(file_of(image, labels) for image in images)
    return files, files
