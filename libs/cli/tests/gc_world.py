"""A project on the doubles of broker and store, for the tests of `labelstream gc`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from labelstream import keys
from labelstream.blobs.memory import MemoryBlobs
from labelstream.classes import ClassSchema
from labelstream.events.annotation import Annotation, AnnotationErased, AnnotationSettled, ImageRef, Outcome
from labelstream.events.base import ANNOTATION_EVENTS, BATCH_EVENTS, MODEL_EVENTS, TRAINING_EVENTS, Event
from labelstream.events.batch import BatchAugmented, Range, Rewritten
from labelstream.events.envelope import Envelope
from labelstream.events.model import ModelExported
from labelstream.events.training import DatasetRef, Metrics, TrainingFinished, TrainingRequested
from labelstream.streams.memory import MemoryBroker
from labelstream.values import FileRef, Position, digest_of, sha256_hex
from labelstream_cli.gc.survey import Rules, Survey, Surveyed
from labelstream_datasets.description import DESCRIPTION, MANIFEST, DatasetDescription
from labelstream_datasets.manifest import Manifest, Row

OLD, NEW = "a" * 64, "b" * 64  # recipes
WEEK = timedelta(days=7)
FILE = FileRef(key="default/jobs/j/attempts/0001/f", sha256="0" * 64, size_bytes=1)
METRICS = Metrics(map50=1, map50_95=1, precision=1, recall=1, images=1)


class Clock:
    """The store's clock, which a test puts forward."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@dataclass
class World:
    """Streams and a bucket that a test fills as the services would."""

    clock: Clock = field(default_factory=Clock)
    broker: MemoryBroker = field(default_factory=MemoryBroker)
    project: str = "default"
    said: int = 0
    blobs: MemoryBlobs = field(init=False)

    def __post_init__(self) -> None:
        self.blobs = MemoryBlobs(clock=self.clock)

    async def ensure(self) -> None:
        for stream in (ANNOTATION_EVENTS, BATCH_EVENTS, TRAINING_EVENTS, MODEL_EVENTS):
            await self.broker.ensure_stream(stream)

    def pass_days(self, days: int) -> None:
        self.clock.now += timedelta(days=days)

    async def say(self, event: Event) -> int:
        self.said += 1
        envelope = Envelope.of(event, source="test", answers=str(self.said), project=self.project)
        await self.broker.publisher(event.stream, f"test of {self.project}").publish(
            [(self.said, envelope.to_message())]
        )
        offset = await self.broker.last_offset(event.stream)
        assert offset is not None
        return offset

    async def image(self, number: int) -> str:
        """Store an image, as ingest does before it decides; return its key."""
        await self.blobs.create(self.image_ref(number).key, f"image {number}".encode())
        return self.image_ref(number).key

    def image_ref(self, number: int) -> ImageRef:
        data = f"image {number}".encode()
        key = keys.image(self.project, sha256_hex(data), "jpg")
        return ImageRef(key=key, sha256=sha256_hex(data), size_bytes=len(data), format="jpeg", width=8, height=8)

    async def record(self, number: int) -> str:
        key = await self.image(number)
        shown = Annotation(image=self.image_ref(number), medium="m", labels="1" * 64, schema_digest="2" * 64)
        outcome = Outcome(name=f"n{number}", outcome="recorded", revision=1, validated=True, annotation=shown)
        place = Position(stream="annotations", offset=self.said)
        await self.say(AnnotationSettled(input=place, message_key=f"{self.said}", wire="native", outcomes=(outcome,)))
        return key

    async def erase(self, number: int) -> None:
        place, digest = Position(stream="annotations", offset=self.said), self.image_ref(number).sha256
        await self.say(
            AnnotationErased(input=place, message_key=f"{self.said}", names=(f"n{number}",), images=(digest,))
        )

    async def archive(self, name: str) -> FileRef:
        data = f"archive {name}".encode()
        key = keys.archive(self.project, digest_of(name))
        await self.blobs.create(key, data)
        return FileRef.of(key, data)

    async def batch(
        self, recipe: str, names: Sequence[str], last: int = 0, rewritten: Sequence[Rewritten] = ()
    ) -> list[str]:
        """Answer everything up to `last` with archives; return their keys."""
        archives = [await self.archive(name) for name in names]
        await self.say(
            BatchAugmented(
                input=Range(stream=ANNOTATION_EVENTS, first=0, last=last),
                recipe=recipe,
                archive=archives[0] if archives else None,
                more_archives=tuple(archives[1:]),
                rewritten=tuple(rewritten),
            )
        )
        return [archive.key for archive in archives]

    async def dataset(self, name: str, archives: Sequence[str]) -> DatasetRef:
        """Store a dataset whose samples lie in `archives` (keys)."""
        digest = digest_of(name)
        rows = [
            Row._make(
                {"image": "1" * 64, "labels": "2" * 64, "recipe": OLD, "variant": number, "split": "train",
                 "archive": key, "archive_bytes": 1, "boxes": 0}.get(column, "x")
                for column in Row._fields
            )
            for number, key in enumerate(archives)
        ]  # fmt: skip
        parquet = Manifest.of(rows).to_parquet()
        manifest = FileRef.of(keys.dataset(self.project, digest, MANIFEST), parquet)
        description = DatasetDescription(
            id=digest, project=self.project, cut=Position(stream=ANNOTATION_EVENTS, offset=0), recipe=OLD,
            class_schema=ClassSchema(name="s", classes=("car",)), counts={}, manifest=manifest,
        )  # fmt: skip
        said = FileRef.of(keys.dataset(self.project, digest, DESCRIPTION), description.to_json())
        await self.blobs.put(manifest.key, parquet)
        await self.blobs.put(said.key, description.to_json())
        return DatasetRef(id=digest, description=said, cut=description.cut, samples={}, test_images=0)

    async def train(self, job: str, dataset: DatasetRef, *, finish: bool = True) -> int:
        offset = await self.say(
            TrainingRequested(job=job, cause="policy", dataset=dataset, recipe={}, recipe_digest=NEW)
        )
        if finish:
            offset = await self.say(
                TrainingFinished(job=job, attempt=1, dataset=dataset, weights=FILE, architecture=FILE, best_epoch=1,
                                 validation=METRICS, test=METRICS)
            )  # fmt: skip
        return offset

    async def model(self, name: str, dataset: DatasetRef) -> str:
        """Train on a dataset and export a model of it."""
        place = Position(stream=TRAINING_EVENTS, offset=await self.train(f"job-{name}", dataset))
        await self.say(
            ModelExported(model=name, input=place, job=f"job-{name}", dataset_id=dataset.id, manifest=FILE,
                          signature=FILE, artifacts=(), test=METRICS)
        )  # fmt: skip
        return name

    def survey(self, grace: timedelta = WEEK, keep_models: int | None = None) -> Survey:
        return Survey(self.broker, self.blobs, [self.project], Rules(grace, keep_models))

    async def look(self, grace: timedelta = WEEK, keep_models: int | None = None) -> Surveyed:
        (found,) = await self.survey(grace, keep_models).look()
        return found

    async def going(self, keep_models: int | None = None) -> dict[str, str]:
        """Return what would go, and why; there must be no doubt."""
        found = await self.look(keep_models=keep_models)
        assert found.plan.doubts == ()
        return {one.info.key: one.why.reason for one in found.plan.candidates}

    async def keys(self) -> set[str]:
        return {info.key async for info in self.blobs.list("")}
