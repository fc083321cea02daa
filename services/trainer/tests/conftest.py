"""A trainer's decider on doubles, which can be restarted at any time."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from labelstream import keys
from labelstream.answers import read_answer
from labelstream.blobs.leases import Leases
from labelstream.blobs.memory import MemoryBlobs
from labelstream.classes import ClassSchema
from labelstream.events.annotation import Annotation, AnnotationSettled, ImageRef, Outcome
from labelstream.events.base import TRAINING_EVENTS
from labelstream.events.batch import BatchAugmented, Member, Range, Variant
from labelstream.events.envelope import Envelope
from labelstream.events.training import TrainingEvent
from labelstream.jobs.memory import MemoryJobQueue
from labelstream.jobs.ports import Job, JobQueue
from labelstream.jobs.worker import Worker
from labelstream.labels import Box, labels_digest
from labelstream.schemas.recorded import record_schema
from labelstream.service.health import Health
from labelstream.streams.amqp import decode
from labelstream.streams.journal import Journal
from labelstream.streams.memory import MemoryBroker
from labelstream.training_requests import Answer
from labelstream.trainings import JobBook
from labelstream.values import FileRef, Position, Split, digest_of, sha256_hex
from labelstream.view import AnnotationView
from labelstream.weights import RECORD, ImportedWeights
from labelstream_datasets.building.index import BatchIndex
from trainer.deciding.annotated import WhenAnnotated, not_known
from trainer.deciding.parts import Parts
from trainer.deciding.policy import Policy
from trainer.domain import Champions
from trainer.handler import NAME, REQUESTS, Decider
from trainer.orders import QUEUE, CancelMark
from trainer.recipe import TrainingRecipe
from trainer.settings import TrainerGroup

SHAPES = (Box(class_id=0, x=0.5, y=0.5, w=0.2, h=0.2),)
LABELS = labels_digest(SHAPES)
ENOUGH: tuple[Split, ...] = ("train",) * 3 + ("val",) * 2 + ("test",) * 5


def settled(offset: int, *outcomes: Outcome, project: str = "default") -> Envelope:
    """The receipt of one annotation message."""
    event = AnnotationSettled(
        input=Position(stream="annotations", offset=offset), message_key=f"{offset}", wire="native", outcomes=outcomes
    )
    return Envelope.of(event, source="annotation-ingest", answers=f"{project} {offset}", project=project)


def recorded(name: str, split: Split) -> Outcome:
    """A validated annotation of a medium of its own."""
    digest = sha256_hex(name.encode())
    image = ImageRef(key=f"images/{name}", sha256=digest, size_bytes=9, format="png", width=8, height=8)
    annotation = Annotation(
        image=image, medium=name, split=split, shapes=SHAPES, labels=LABELS, schema_digest=sha256_hex(b"schema")
    )
    return Outcome(name=name, outcome="recorded", revision=1, validated=True, annotation=annotation)


def member(name: str, offset: int) -> Member:
    """The archive's member of an annotation."""
    original = Variant(variant=0, image_path=f"{name}.png", sha256=sha256_hex(b"variant"), boxes=1)
    return Member(name=name, image=sha256_hex(name.encode()), labels=LABELS, offset=offset, variants=(original,))


def augmented(first: int, last: int, members: Sequence[Member] = (), project: str = "default") -> Envelope:
    """What the augmenter says of a range."""
    event = BatchAugmented(
        input=Range(stream="annotation-events", first=first, last=last),
        recipe=sha256_hex(b"recipe"),
        archive=FileRef.of("archive", b"archive"),
        members=tuple(members),
    )
    return Envelope.of(event, source="augmenter", answers=f"{project} {first}", project=project)


@dataclass
class Trainer:
    """What outlives a decider: streams, store, queues. View and index stand as they were read."""

    view: AnnotationView
    settings: TrainerGroup = field(default_factory=lambda: TrainerGroup(min_new=0))
    projects: tuple[str, ...] = ("default",)
    classes: tuple[str, ...] = ("car",)
    broker: MemoryBroker = field(default_factory=MemoryBroker)
    blobs: MemoryBlobs = field(default_factory=MemoryBlobs)
    queue: MemoryJobQueue = field(default_factory=MemoryJobQueue)
    index: BatchIndex = field(default_factory=BatchIndex)
    health: Health = field(default_factory=Health)
    champions: Champions = field(default_factory=Champions)
    recipe: TrainingRecipe = field(default_factory=TrainingRecipe)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    annotated_ms: WhenAnnotated = not_known

    async def started(self, queue: JobQueue | None = None) -> Decider:
        """Start a decider, as after a crash: it knows what the stream says."""
        for project in self.projects:
            await record_schema(self.blobs, project, ClassSchema(name="cars", classes=self.classes))
        book = JobBook(keep_epochs=False)
        journal = Journal(self.broker, TRAINING_EVENTS, [NAME], book.fold, self.health)
        await journal.open()
        parts = Parts(
            view=self.view,
            journal=journal,
            queue=queue or self.queue,
            blobs=self.blobs,
            own=self.settings,
            projects=self.projects,
            policy=Policy.of(self.settings),
            recipe=self.recipe,
            health=self.health,
            book=book,
            index=self.index,
            champions=self.champions,
            annotated_ms=self.annotated_ms,
        )
        decider = parts.decider()
        decider.deciding.caught_up = True
        decider.deciding.now = lambda: self.now
        return decider

    def annotate(self, splits: Sequence[Split] = ENOUGH, project: str = "default") -> int:
        """Have one image for each of `splits` validated and augmented; return the last offset."""
        first = 0 if self.view.position is None else self.view.position + 1
        members = []
        for offset, split in enumerate(splits, first):
            self.view.apply(offset, settled(offset, recorded(f"image-{offset}", split), project=project))
            members.append(member(f"image-{offset}", offset))
        last = first + len(splits) - 1
        self.index.fold(0, augmented(0, last, members, project))
        self.view.commit()
        return last

    async def put(self, payload: dict[str, Any], project: str = "default") -> str:
        """Ask for something by hand; return where the answer is awaited."""
        answer = uuid.uuid4().hex
        job = Job(project=project, id=digest_of([project, payload]), payload={**payload, "answer": answer})
        await self.queue.put(REQUESTS, job)
        return answer

    async def ask(self, cut: int, project: str = "default") -> str:
        """Ask for a training by hand."""
        return await self.put({"cut": cut}, project)

    async def ask_on(self, description: FileRef) -> str:
        """Ask for a training on a stored dataset."""
        return await self.put({"dataset": description.model_dump()})

    async def answered(self, answer: str, project: str = "default") -> tuple[str, str | None, str]:
        """What was answered: the outcome, the job and the reason."""
        found = await read_answer(Answer, self.blobs, project, answer)
        assert found is not None
        return found.outcome, found.job, found.reason

    async def mark(self, job: str) -> str:
        """The reason in a job's cancel mark."""
        found = await self.blobs.get(keys.job_cancel("default", job))
        return CancelMark.model_validate_json(found.data).reason

    async def import_weights(self, name: str, weights: bytes) -> None:
        """Store weights under a name, as an import does."""
        record = ImportedWeights(
            id=sha256_hex(weights), weights=FileRef.of("w", weights), architecture=FileRef.of("a", b"architecture"),
            name="street", names=("car",), image_size=640, parameters=1, source="street.pt",
            source_sha256=sha256_hex(weights), imported=self.now,
        )  # fmt: skip
        await self.blobs.put(keys.weights("default", name, RECORD), record.model_dump_json().encode())

    async def waiting_requests(self) -> int:
        """Count the requests that a decider which starts now would find."""
        await self.queue.close()
        count = 0
        while await self.queue.take(REQUESTS, wait_s=0) is not None:
            count += 1
        await self.queue.close()
        return count

    def events(self) -> list[TrainingEvent]:
        """Everything that was said on `training-events`."""
        envelopes = [Envelope.from_message(decode(each.raw)) for each in self.broker.stored(TRAINING_EVENTS) or []]
        return [each.event for each in envelopes if each and isinstance(each.event, TrainingEvent)]

    def said(self) -> list[str]:
        """The types of the events, without their common beginning."""
        return [event.type.removeprefix("training.") for event in self.events()]

    async def until_ended(self, do: Any, *, restarting: bool = False) -> None:
        """Let a worker work and the decider tick until every job ended; `restarting` is before every tick."""
        worker = Worker(QUEUE, self.queue, Leases(self.blobs, "worker"), self.blobs, self.health, do)
        decider = await self.started()
        working = asyncio.create_task(worker.run())
        try:
            async with asyncio.timeout(20):
                while decider.book.open_jobs():
                    decider = await self.started() if restarting else decider
                    await decider.tick()
                    await asyncio.sleep(0.01)
        finally:
            working.cancel()
            await asyncio.wait([working])


@pytest.fixture
def trainer(tmp_path: Path):
    view = AnnotationView(tmp_path / "view.sqlite")
    yield Trainer(view)
    view.close()


@dataclass(frozen=True)
class Annotations:
    """What other services say, for tests to compose."""

    settled = staticmethod(settled)
    recorded = staticmethod(recorded)
    augmented = staticmethod(augmented)


@pytest.fixture
def annotations() -> Annotations:
    return Annotations()
