"""`labelstream gc` on the real broker and store: what nothing needs goes, and a kept dataset lies out as before."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from labelstream import keys
from labelstream.blobs.s3 import S3Blobs
from labelstream.classes import ClassSchema
from labelstream.errors import Rejected
from labelstream.events.annotation import Annotation, AnnotationSettled, ImageRef, Outcome
from labelstream.events.base import ANNOTATION_EVENTS, BATCH_EVENTS, MODEL_EVENTS, TRAINING_EVENTS, Event
from labelstream.events.batch import BatchAugmented, Member, Range
from labelstream.events.envelope import Envelope
from labelstream.events.model import ModelExported
from labelstream.events.training import DatasetRef, Metrics, TrainingFinished, TrainingRequested
from labelstream.labels import Box, labels_digest
from labelstream.service.health import Health
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream.values import FileRef, Position, sha256_hex
from labelstream.view import AnnotationView
from labelstream_cli.gc.streams import STREAMS
from labelstream_cli.gc.survey import Rules, Survey, Surveyed
from labelstream_cli.gc.sweeping import Swept, sweep
from labelstream_datasets.archives.contents import ArchiveWriter
from labelstream_datasets.building.build import DatasetPlan, build
from labelstream_datasets.building.index import BatchIndex
from labelstream_datasets.layout.materialise import materialise
from labelstream_datasets.loading import load_description, load_manifest
from labelstream_datasets.store import store
from labelstream_local.rabbitmq import RabbitServer
from labelstream_local.seaweedfs import WeedServer

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.timeout(300)]

OLD, NEW = "a" * 64, "b" * 64
SCHEMA = ClassSchema(name="scenes", classes=("car",))
SHAPES = (Box(class_id=0, x=0.5, y=0.5, w=0.2, h=0.1),)
METRICS = Metrics(map50=1, map50_95=1, precision=1, recall=1, images=1)


@dataclass
class Place:
    """A project on the real broker and store, filled as the services would."""

    broker: RabbitBroker
    blobs: S3Blobs
    scratch: Path
    project: str
    annotations: list[Annotation] = field(default_factory=list)
    offsets: dict[int, int] = field(default_factory=dict)  # number of the annotation → offset
    heard: list[tuple[str, int, Envelope]] = field(default_factory=list)
    said: int = 0

    async def say(self, event: Event) -> int:
        self.said += 1
        envelope = Envelope.of(event, source="test", answers=str(self.said), project=self.project)
        publisher = self.broker.publisher(event.stream, f"writer of {self.project}")
        await publisher.publish([(self.said, envelope.to_message())])
        await publisher.close()
        offset = await self.broker.last_offset(event.stream)
        assert offset is not None
        self.heard.append((event.stream, offset, envelope))
        return offset

    async def image(self, number: int) -> ImageRef:
        data = f"{self.project}: image {number}".encode()
        key = keys.image(self.project, sha256_hex(data), "jpg")
        await self.blobs.create(key, data)
        return ImageRef(key=key, sha256=sha256_hex(data), size_bytes=len(data), format="jpeg", width=8, height=8)

    async def record(self, number: int) -> None:
        shown = Annotation(
            image=await self.image(number), medium=f"m{number}", shapes=SHAPES, labels=labels_digest(SHAPES),
            schema_digest=SCHEMA.digest,
        )  # fmt: skip
        outcome = Outcome(name=f"n{number}", outcome="recorded", revision=1, validated=True, annotation=shown)
        event = AnnotationSettled(
            input=Position(stream="annotations", offset=number), message_key=f"{number}", wire="native",
            outcomes=(outcome,),
        )  # fmt: skip
        self.annotations.append(shown)
        self.offsets[number] = await self.say(event)

    async def archive(self, recipe: str, numbers: Sequence[int]) -> tuple[FileRef, tuple[Member, ...]]:
        writer = ArchiveWriter(recipe)
        for number in numbers:
            shown = self.annotations[number]
            encoded = (await self.blobs.get(shown.image.key)).data
            writer.add(shown.image, shown.labels, [(encoded, SHAPES), (encoded + b"!", SHAPES)], None)
        contents, packed = writer.finish()
        assert packed is not None
        file = FileRef.of(keys.archive(self.project, sha256_hex(packed)), packed)
        await self.blobs.create(file.key, packed)
        members = tuple(
            Member(
                name=f"n{number}", image=made.image, labels=made.labels, offset=self.offsets[number],
                variants=made.variants,
            )
            for number, made in zip(numbers, contents.made, strict=True)
        )  # fmt: skip
        return file, members

    async def batch(self, recipe: str, numbers: Sequence[int]) -> str:
        """Answer up to the last of these annotations; return the archive's key."""
        file, members = await self.archive(recipe, numbers)
        first = 0 if numbers[0] == 0 else self.offsets[numbers[0] - 1] + 1
        answered = Range(stream=ANNOTATION_EVENTS, first=first, last=self.offsets[numbers[-1]])
        await self.say(BatchAugmented(input=answered, recipe=recipe, archive=file, members=members))
        return file.key

    async def dataset(self, recipe: str, last: int) -> DatasetRef:
        """Build and store the dataset of what was said up to an annotation."""
        index = BatchIndex()
        path = self.scratch / f"{uuid.uuid4().hex}.sqlite"
        with closing(AnnotationView(path)) as view:
            for stream, offset, envelope in self.heard:
                if stream == ANNOTATION_EVENTS:
                    view.apply(offset, envelope)
                elif stream == BATCH_EVENTS:
                    index.fold(offset, envelope)
            plan = DatasetPlan(self.project, self.offsets[last], recipe, SCHEMA)
            return await store(self.blobs, await build(view, index, plan))

    async def model(self, dataset: DatasetRef) -> None:
        file = FileRef(key="k", sha256="0" * 64, size_bytes=1)
        job = "job"
        await self.say(TrainingRequested(job=job, cause="policy", dataset=dataset, recipe={}, recipe_digest="0" * 64))
        offset = await self.say(
            TrainingFinished(job=job, attempt=1, dataset=dataset, weights=file, architecture=file, best_epoch=1,
                             validation=METRICS, test=METRICS)
        )  # fmt: skip
        await self.say(
            ModelExported(model="m", input=Position(stream=TRAINING_EVENTS, offset=offset), job=job,
                          dataset_id=dataset.id, manifest=file, signature=file, artifacts=(), test=METRICS)
        )  # fmt: skip

    async def look(self, grace: timedelta = timedelta()) -> tuple[Survey, Surveyed]:
        survey = Survey(self.broker, self.blobs, [self.project], Rules(grace))
        (found,) = await survey.look()
        return survey, found

    async def collect(self) -> Swept:
        survey, found = await self.look()
        assert found.plan.doubts == ()
        return await sweep(survey, found.plan)

    async def keys(self) -> set[str]:
        return {info.key async for info in self.blobs.list(f"{self.project}/")}


@pytest_asyncio.fixture
async def place(fresh_rabbitmq: RabbitServer, seaweedfs: WeedServer, tmp_path: Path) -> AsyncIterator[Place]:
    broker = RabbitBroker(fresh_rabbitmq.settings, Health(), "test")
    settings = seaweedfs.settings
    blobs = S3Blobs(settings, settings.data_bucket, Health(), page_size=3)
    yield Place(broker, blobs, tmp_path, f"gc-{uuid.uuid4().hex[:12]}")
    await broker.close()
    await blobs.close()


async def test_exactly_what_nothing_needs_goes_and_the_kept_datasets_lie_out_as_before(
    place: Place, tmp_path: Path
) -> None:
    for stream in STREAMS[1:]:
        await place.broker.ensure_stream(stream)
    for number in range(9):
        await place.record(number)
    needed, *older = [await place.batch(OLD, range(first, first + 3)) for first in (0, 3, 6)]
    kept, others = await place.dataset(OLD, 2), await place.dataset(OLD, 8)
    await place.batch(NEW, range(9))
    newest = await place.dataset(NEW, 8)
    orphan = (await place.image(99)).key
    unnamed = (await place.archive(NEW, [4, 8]))[0].key

    _, found = await place.look()
    assert found.plan.doubts == ()
    assert {one.info.key for one in found.plan.candidates} == {orphan, unnamed}  # every stored dataset stays
    assert found.notes[0].startswith(f"there is no stream {MODEL_EVENTS}: exporter makes it when it starts")
    await place.broker.ensure_stream(MODEL_EVENTS)
    await place.model(kept)

    before, going = await place.keys(), {orphan, unnamed, *older}
    _, found = await place.look(timedelta(days=7))
    assert found.plan.candidates == ()
    assert found.plan.young.objects == 2  # the older recipe was used within the grace time: it is in use
    _, found = await place.look()
    assert {one.info.key for one in found.plan.candidates} == going
    assert await place.keys() == before

    swept = await place.collect()
    assert {one.info.key for one in swept.removed} == going
    assert await place.keys() == before - going | {keys.collected(key) for key in (unnamed, *older)}
    assert needed in await place.keys()
    again = await place.collect()
    assert (again.removed, again.stayed, again.gone) == ([], {}, [])

    for dataset in (kept, newest):
        folder = await materialise(place.blobs, Health(), dataset.description, tmp_path / dataset.id)
        manifest = await load_manifest(place.blobs, await load_description(place.blobs, dataset.description))
        found_images = [path for path in folder.glob("*/images/*") if path.is_file()]
        assert len(found_images) == len(manifest)
    with pytest.raises(Rejected, match=r"dataset\.collected"):
        await materialise(place.blobs, Health(), others.description, tmp_path / others.id)


async def test_a_receipt_that_comes_between_plan_and_removal_saves_its_image(place: Place) -> None:
    for stream in STREAMS:
        await place.broker.ensure_stream(stream)
    await place.record(0)
    images = [(await place.image(number)).key for number in (1, 2)]
    survey, found = await place.look()
    assert {one.info.key for one in found.plan.candidates} == set(images)
    await place.record(1)
    swept = await sweep(survey, found.plan)
    assert ([one.info.key for one in swept.removed], list(swept.stayed)) == ([images[1]], [images[0]])
