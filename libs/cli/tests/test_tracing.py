"""The life of an annotation, as the streams and the store tell it."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from labelstream import keys
from labelstream.blobs.memory import MemoryBlobs
from labelstream.classes import ClassSchema
from labelstream.events.annotation import (
    Annotation,
    AnnotationErased,
    AnnotationSettled,
    ImageRef,
    Outcome,
    Rejection,
    Settlement,
)
from labelstream.events.base import (
    ANNOTATION_EVENTS,
    BATCH_EVENTS,
    MODEL_EVENTS,
    SERVING_EVENTS,
    TRAINING_EVENTS,
    Event,
)
from labelstream.events.batch import BatchAugmented, Member, Range, Rewritten, Variant
from labelstream.events.envelope import Envelope
from labelstream.events.model import ModelExported, ModelPromoted, ModelRefused
from labelstream.events.serving import ModelActivated, ModelReverted
from labelstream.events.training import DatasetRef, Metrics, TrainingFailed, TrainingFinished, TrainingRequested
from labelstream.streams.memory import MemoryBroker
from labelstream.values import FileRef, Position, sha256_hex
from labelstream_cli.tracing import Life, closest_names, trace
from labelstream_cli.tracing.closest import like
from labelstream_cli.tracing.view import show_life
from labelstream_datasets.description import DatasetDescription
from labelstream_datasets.manifest import Manifest, Row

FILE = FileRef.of("key", b"content")
METRICS = Metrics(map50=0.9, map50_95=0.7, precision=0.9, recall=0.9, images=6)


def annotation(image: str, labels: str = "labels") -> Annotation:
    digest = sha256_hex(image.encode())
    stored = ImageRef(key=f"images/{digest}.jpg", sha256=digest, size_bytes=9, format="jpeg", width=96, height=64)
    return Annotation(image=stored, medium="film", labels=sha256_hex(labels.encode()), schema_digest="s")


@dataclass
class World:
    """The streams and the store of a platform, written event by event."""

    broker: MemoryBroker = field(default_factory=MemoryBroker)
    blobs: MemoryBlobs = field(default_factory=MemoryBlobs)
    said: int = 0

    async def say(self, event: Event, project: str = "default") -> int:
        """Publish an event; return its offset."""
        self.said += 1
        envelope = Envelope(event=event, id=f"id-{self.said}", source="test", project=project, time_ms=self.said)
        await self.broker.publisher(event.stream, "test").publish([(self.said, envelope.to_message())])
        offset = await self.broker.last_offset(event.stream)
        assert offset is not None
        return offset

    async def settle(self, *outcomes: Outcome, project: str = "default", **more: object) -> int:
        """Publish a receipt."""
        event = AnnotationSettled(
            input=Position(stream="annotations", offset=self.said),
            message_key=f"key-{self.said}",
            wire="native",
            outcomes=outcomes,
            **more,  # type: ignore[arg-type]  # any field of the event
        )
        return await self.say(event, project)

    async def dataset(self, cut: int, *rows: Row, stored: bool = True) -> DatasetRef:
        """Store a dataset; return how it is referred to."""
        manifest = Manifest.of(rows)
        parquet = manifest.to_parquet()
        reference = FileRef.of(f"datasets/{manifest.id}/manifest.parquet", parquet)
        description = DatasetDescription(
            id=manifest.id, project="default", cut=Position(stream=ANNOTATION_EVENTS, offset=cut),
            class_schema=ClassSchema(name="s", classes=("car",)), recipe="2" * 64, salt="s",
            counts={}, manifest=reference,
        ).to_json()  # fmt: skip
        if stored:
            await self.blobs.put(reference.key, parquet)
            await self.blobs.put(f"datasets/{manifest.id}/dataset.json", description)
        described = FileRef.of(f"datasets/{manifest.id}/dataset.json", description)
        at = Position(stream=ANNOTATION_EVENTS, offset=cut)
        return DatasetRef(id=manifest.id, description=described, cut=at, samples={}, test_images=6)

    async def trace(self, name: str = "a", **more: int) -> Life:
        return await trace(self.broker, self.blobs, "default", name, **more)


def row(name: str, of: Annotation, variant: int = 0, split: str = "train") -> Row:
    return Row(of.image.sha256, of.labels, "2" * 64, variant, split, name, "film", "archive", "3" * 64, 9, "p", 1,
               "4" * 64)  # type: ignore[arg-type]  # fmt: skip  # a split as text


def recorded(name: str, of: Annotation, revision: int = 1, outcome: str = "recorded") -> Outcome:
    return Outcome.model_validate(
        {"name": name, "outcome": outcome, "revision": revision, "validated": True, "annotation": of}
    )


def requested(job: str, dataset: DatasetRef) -> TrainingRequested:
    return TrainingRequested(job=job, cause="policy", dataset=dataset, recipe={}, recipe_digest="3" * 64)


def batch(first: int, *members: tuple[str, Annotation]) -> BatchAugmented:
    variants = tuple(Variant(variant=n, image_path=f"{n}.jpg", sha256="5" * 64, boxes=1) for n in range(8))
    return BatchAugmented(
        input=Range(stream=ANNOTATION_EVENTS, first=first, last=first),
        recipe="2" * 64,
        archive=FileRef.of(f"archives/{first}.tar", b"tar"),
        members=tuple(
            Member(name=name, image=of.image.sha256, labels=of.labels, variants=variants) for name, of in members
        ),
    )


def exported(model: str, job: str, dataset: DatasetRef) -> ModelExported:
    at = Position(stream=TRAINING_EVENTS, offset=0)
    return ModelExported(
        model=model, input=at, job=job, dataset_id=dataset.id, manifest=FILE, signature=FILE, artifacts=(), test=METRICS
    )


def promoted(model: str, number: int = 1) -> ModelPromoted:
    return ModelPromoted(
        model=model, number=number, manifest=FILE, signature=FILE, statement="", statement_signature="", reason="better"
    )


def activated(model: str, replica: str, number: int = 1) -> ModelActivated:
    return ModelActivated(model=model, number=number, replica=replica, artifact="onnx", seconds=1)


def told(life: Life) -> list[str]:
    return [step.what for step in life.steps]


@pytest.fixture
async def world() -> World:
    world = World()
    for stream in (ANNOTATION_EVENTS, BATCH_EVENTS, TRAINING_EVENTS, MODEL_EVENTS, SERVING_EVENTS):
        await world.broker.ensure_stream(stream)
    return world


async def test_a_life_goes_from_its_messages_to_the_model_in_service(world: World) -> None:
    first, second, other = annotation("1"), annotation("1", "better labels"), annotation("2")
    await world.settle(recorded("a", first), recorded("b", other), asked="created")
    cut = await world.settle(recorded("a", second, 2, "edited"), asked="edited")
    await world.say(batch(0, ("a", first), ("b", other)))
    await world.say(batch(1, ("a", second)))
    dataset = await world.dataset(cut, *(row("a", second, number) for number in range(8)), row("b", other))
    await world.say(requested("job", dataset))
    await world.say(
        TrainingFinished(job="job", attempt=1, dataset=dataset, weights=FILE, architecture=FILE, best_epoch=1,
                         validation=METRICS, test=METRICS)
    )  # fmt: skip
    await world.say(exported("model", "job", dataset))
    await world.say(promoted("model"))
    await world.say(activated("model", "east"))

    life = await world.trace()

    assert told(life) == [
        "created → recorded, revision 1, validated",
        "edited → edited, revision 2, validated",
        "augmented: 8 images",
        "augmented: 8 images",
        "8 images of revision 2 in train, training asked for by policy",
        "training finished",
        "model model exported",
        "model model promoted",
        "model model answers in replica east",
    ]
    assert (life.state, life.revision, life.validated, life.annotation) == ("recorded", 2, True, second)
    assert (life.datasets, life.models, life.in_service) == ([dataset.id], ["model"], {"model": ["east"]})
    assert [step.data["archive"] for step in life.steps[2:4]] == ["archives/0.tar", "archives/1.tar"]
    assert life.as_json()["steps"][4]["split"] == "train"


async def test_an_annotation_that_no_receipt_names_has_no_state_and_the_closest_names_are_found(world: World) -> None:
    for name in ("frame-1", "Frame-2", "frame-1-left", "x" * 40, "ü" * 200):
        await world.settle(recorded(name, annotation(name)))
    await world.settle(recorded("frame-3", annotation("3")), project="other")
    assert not (await world.trace("frame-2")).exists
    found = await closest_names(world.broker, "default", "frame-2")
    assert found[0] == "Frame-2"
    assert "frame-3" not in found
    assert await closest_names(world.broker, "default", "x" * 39) == ["x" * 40]
    assert await closest_names(world.broker, "default", "ü" * 199) == ["ü" * 200]
    assert await closest_names(world.broker, "default", "zeppelin") == []


def test_names_are_close_in_other_case_as_a_part_and_by_their_letters() -> None:
    assert like("Film-1", ["film-10", "film-1", "other"]) == ["film-1", "film-10"]
    assert like("flim-1", ["other", "film-1"]) == ["film-1"]
    many = [f"frame-{number:07d}" for number in range(30_000)]
    assert "frame-0001234" in like("frame-001234", many)  # it is among the oldest


async def test_another_projects_annotation_of_the_same_name_is_another(world: World) -> None:
    await world.settle(recorded("a", annotation("1")), project="other")
    assert not (await world.trace()).exists


async def test_what_was_refused_held_and_settled_later_is_told(world: World) -> None:
    refusal = Rejection(
        rule="class.unknown", reason="class lorry", hint="Add it.", parked=Position(stream="parked.x", offset=7)
    )
    await world.settle(Outcome(name="a", outcome="rejected", rejection=refusal), asked="created")
    assert (await world.trace()).state == "rejected"
    await world.settle(Outcome(name="a", outcome="held"), asked="validated")
    assert (await world.trace()).state == "held"
    held = Position(stream="annotations", offset=1)
    settled = Settlement(name="a", input=held, asked="validated", outcome="validated")
    replays = Position(stream="annotations", offset=0)
    await world.settle(recorded("a", annotation("1")), asked="created", settles=(settled,), replays=replays)
    await world.settle(Outcome(name="a", outcome="duplicated", repeats=held, revision=1), asked="created")
    await world.settle(Outcome(name="a", outcome="deleted", revision=2), asked="deleted")

    life = await world.trace()

    assert told(life) == [
        "created → rejected",
        "validated → held",
        "created → recorded, revision 1, validated",
        "held validated → validated",
        "created → duplicated",
        "deleted → deleted, revision 2",
    ]
    assert "class.unknown: class lorry" in life.steps[0].details
    assert "its bytes: labelstream parked show 7" in life.steps[0].details
    assert "brings again the message that was refused at annotations 0" in life.steps[2].details
    assert (life.state, life.revision, life.validated) == ("deleted", 2, False)


async def test_an_expired_message_and_an_erasure_are_told(world: World) -> None:
    held = Position(stream="annotations", offset=1)
    expired = Settlement(name="a", input=held, asked="deleted", outcome="expired")
    await world.settle(recorded("b", annotation("b")), settles=(expired,))
    await world.settle(recorded("a", annotation("1")))
    await world.say(AnnotationErased(input=held, message_key="k", medium="film", names=("a",), images=("0" * 64,)))
    life = await world.trace()
    assert told(life)[0].startswith("held deleted → expired")
    assert (life.state, told(life)[-1]) == ("erased", "erased")


async def test_a_batch_whose_lists_lie_in_the_store_is_told_and_one_whose_lists_are_gone_is_counted(
    world: World,
) -> None:
    of = annotation("1")
    await world.settle(recorded("a", of))
    for number, stored in enumerate((True, False)):
        event = batch(number, ("a", of))
        packed = event.packed_lists()
        lists = FileRef.of(f"lists/{number}", packed)
        if stored:
            await world.blobs.put(lists.key, packed)
        await world.say(event.without_lists(lists))

    life = await world.trace()

    assert told(life)[1:] == ["augmented: 8 images"]
    assert life.steps[-1].data["archive"] == "archives/0.tar"
    assert life.malformed == 1


async def test_archives_that_were_rewritten_are_told_with_what_took_their_place(world: World) -> None:
    of, other = annotation("1"), annotation("2")
    await world.settle(recorded("a", of), recorded("b", other), recorded("c", annotation("3")))
    await world.say(batch(0, ("a", of), ("b", other)))
    await world.say(batch(1, ("c", annotation("3"))))
    places = ("archives/0.tar", "archives/new.tar"), ("archives/1.tar", None), ("archives/new.tar", None)
    for number, ((old, new), image) in enumerate(zip(places, (other, annotation("3"), of), strict=True)):
        by = FileRef.of(new, b"tar") if new else None
        erased = {"erased_images": (image.image.sha256,), "rewritten": (Rewritten(archive=old, by=by),)}
        await world.say(batch(2 + number).model_copy(update=erased))

    life = await world.trace()

    assert told(life)[2:] == ["archive rewritten without another image", "archive removed: it was erased"]
    assert [step.data["rewritten"] for step in life.steps[2:]] == ["archives/new.tar", None]
    assert [step.details for step in life.steps[2:]] == [("archives/new.tar",), ("archives/new.tar",)]
    assert told(await world.trace("b"))[2:] == ["archive rewritten without it"]


async def test_a_dataset_is_looked_into_only_if_its_cut_is_not_before_the_annotation(world: World) -> None:
    before = await world.settle(recorded("b", annotation("b")))
    early = await world.dataset(before, row("b", annotation("b")), stored=False)
    at = await world.settle(recorded("a", annotation("1")))
    without = await world.dataset(at, row("b", annotation("b"), split="val"))
    gone = await world.dataset(at, row("c", annotation("c")), stored=False)
    holds = await world.dataset(at + 9, row("a", annotation("1"), split="test"))
    for number, dataset in enumerate((early, without, gone, holds)):
        await world.say(requested(f"job-{number}", dataset))
    life = await world.trace()
    assert (life.datasets, life.unreadable, life.not_searched) == ([holds.id], [gone.id], 0)
    newest = await world.trace(most_datasets=1)
    assert (newest.datasets, newest.unreadable, newest.not_searched) == ([holds.id], [], 2)


async def test_a_dataset_that_was_only_built_is_looked_into_too(world: World) -> None:
    at = await world.settle(recorded("a", annotation("1")))
    trained = await world.dataset(at, row("a", annotation("1")))
    await world.say(requested("job", trained))
    built = []
    for cut, variant in ((at, 1), (at + 9, 2)):
        one = await world.dataset(cut, row("a", annotation("1"), variant))
        key = keys.dataset("default", one.id, "dataset.json")
        await world.blobs.put(key, (await world.blobs.get(one.description.key)).data)
        built.append(one.id)
    await world.blobs.put(keys.dataset("default", "torn", "dataset.json"), b"{")
    life = await world.trace()
    assert (life.datasets, life.unreadable) == ([trained.id, *reversed(built)], ["torn"])
    assert (await world.trace(most_datasets=2)).not_searched == 1


async def test_trainings_that_failed_and_models_that_others_replaced_are_told(world: World) -> None:
    at = await world.settle(recorded("a", annotation("1")))
    dataset = await world.dataset(at, row("a", annotation("1"), split="val"))
    for job in ("failed", "refused", "good"):
        await world.say(requested(job, dataset))
    await world.say(TrainingFailed(job="failed", attempt=1, rule="memory", reason="too little"))
    refused = Position(stream=TRAINING_EVENTS, offset=1)
    await world.say(ModelRefused(model="m0", input=refused, job="refused", rule="agreement", reason="boxes differ"))
    await world.say(
        ModelRefused(model="m1", input=refused, job="good", rule="export.disagrees", reason="x", format="onnx-int8")
    )
    await world.say(exported("m1", "good", dataset))
    await world.say(promoted("m1"))
    await world.say(activated("m1", "east"))
    await world.say(promoted("m2", 2))
    await world.say(activated("m2", "east", 2))
    life = await world.trace()
    assert told(life)[-5:] == [
        "training failed", "model refused", "format onnx-int8 refused", "model m1 exported", "model m1 promoted",
    ]  # fmt: skip
    assert (life.models, life.in_service) == (["m1"], {})
    back = ModelReverted(
        model="m2", number=2, replica="east", rule="probation.failed", reason="x", serving="m1", serving_number=1
    )
    await world.say(back)
    assert (await world.trace()).in_service == {"m1": ["east"]}, "the replica went back to it"


async def test_bytes_that_only_look_like_the_name_and_noise_are_passed_over_and_counted(world: World) -> None:
    await world.settle(recorded("b", annotation("1").model_copy(update={"medium": "a"})))
    world.broker.write_raw(ANNOTATION_EVENTS, b"\xa1a noise")
    life = await world.trace()
    assert (life.exists, life.malformed) == (False, 1)


async def test_it_is_shown_as_a_timeline(world: World) -> None:
    await world.settle(recorded("a", annotation("1")), asked="created", message_id="m[1]")
    console = Console(width=100, file=io.StringIO())
    show_life(await world.trace(), console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO from above
    assert "project default: recorded, revision 1, validated" in shown
    assert "created → recorded" in shown
    assert "id m[1]" in shown
    assert "in no datasets and no models" in shown


async def test_what_is_said_again_and_again_is_shown_once_with_how_often(world: World) -> None:
    of = annotation("1")
    await world.settle(recorded("a", of))
    await world.say(batch(0, ("a", of), ("b", of), ("c", of)))
    console = Console(width=100, file=io.StringIO())
    life = await world.trace()
    show_life(life, console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO from above
    assert (shown.count("augmented: 8 images"), shown.count("augmented: 8 images (3 times)")) == (1, 1)
    assert told(life).count("augmented: 8 images") == 3


def test_a_manifest_has_the_columns_that_are_looked_into() -> None:
    parquet = Manifest.of([row("a", annotation("1"))]).to_parquet()
    assert pq.read_table(io.BytesIO(parquet), filters=[("name", "=", "a")]).num_rows == 1
