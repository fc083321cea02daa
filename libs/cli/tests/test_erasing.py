"""Erasing: what is told before and after, and what a refusal or a silence comes to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from typer.testing import CliRunner

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
)
from labelstream.events.base import (
    ANNOTATION_EVENTS,
    BATCH_EVENTS,
    MODEL_EVENTS,
    SERVING_EVENTS,
    TRAINING_EVENTS,
    Event,
)
from labelstream.events.batch import BatchAugmented, Range, Rewritten
from labelstream.events.envelope import Envelope
from labelstream.events.model import ModelExported, ModelPromoted
from labelstream.events.training import DatasetRef, Metrics, TrainingFinished, TrainingRequested
from labelstream.producer import Producer
from labelstream.streams.amqp import decode
from labelstream.streams.memory import MemoryBroker
from labelstream.values import FileRef, Position, sha256_hex
from labelstream.wire.reading import read_submission
from labelstream_cli.erase.asking import Marks, Request, ask, concerned, marks, wait_for_archives
from labelstream_cli.erase.holders import holders
from labelstream_cli.erase.view import Erased, tell_beyond, tell_concerned, tell_erased
from labelstream_cli.main import app
from labelstream_cli.running import CommandFailed
from labelstream_datasets.description import DESCRIPTION, MANIFEST, DatasetDescription
from labelstream_datasets.manifest import Manifest, Row

METRICS = Metrics(map50=1, map50_95=1, precision=1, recall=1, images=1)
FILE = FileRef(key="k", sha256="0" * 64, size_bytes=1)
RECIPE = "a" * 64


def image(number: int) -> ImageRef:
    digest = sha256_hex(f"image {number}".encode())
    key = f"default/images/{digest}.jpg"
    return ImageRef(key=key, sha256=digest, size_bytes=8, format="jpeg", width=8, height=8)


class Streams:
    """A broker whose streams a test writes as the services would."""

    def __init__(self) -> None:
        self.broker = MemoryBroker()
        self.said = 0

    async def ensure(self) -> None:
        for stream in ("annotations", ANNOTATION_EVENTS, BATCH_EVENTS, TRAINING_EVENTS, MODEL_EVENTS, SERVING_EVENTS):
            await self.broker.ensure_stream(stream)

    async def say(self, event: Event, project: str = "default") -> int:
        self.said += 1
        envelope = Envelope.of(event, source="test", answers=str(self.said), project=project)
        await self.broker.publisher(event.stream, "test").publish([(self.said, envelope.to_message())])
        offset = await self.broker.last_offset(event.stream)
        assert offset is not None
        return offset

    async def record(self, name: str, number: int, medium: str = "film", project: str = "default") -> int:
        shown = Annotation(image=image(number), medium=medium, labels="1" * 64, schema_digest="2" * 64)
        outcome = Outcome(name=name, outcome="recorded", revision=1, validated=True, annotation=shown)
        return await self.settle(outcome, project=project)

    async def settle(self, *outcomes: Outcome, message_id: str | None = None, project: str = "default") -> int:
        event = AnnotationSettled(
            input=Position(stream="annotations", offset=self.said),
            message_id=message_id,
            message_key=f"key {self.said}",
            wire="native",
            outcomes=outcomes,
        )
        return await self.say(event, project)

    async def erase(self, message_id: str | None, names: Sequence[str], numbers: Sequence[int], **more: Any) -> int:
        event = AnnotationErased(
            input=Position(stream="annotations", offset=self.said),
            message_id=message_id,
            message_key=f"key {self.said}",
            names=tuple(names),
            images=tuple(image(number).sha256 for number in numbers),
            **more,
        )
        return await self.say(event)

    async def asked(self, count: int) -> list[tuple[str, tuple[str, ...], str | None]]:
        """Wait for requests; return (message id, names, medium) of each."""
        while len(self.broker.stored("annotations") or ()) < count:  # noqa: ASYNC110  # a memory broker tells nobody
            await asyncio.sleep(0)
        found = [read_submission(decode(delivery.raw)) for delivery in self.broker.stored("annotations") or ()]
        return [(one.message_id or "", one.names, one.medium) for one in found]


@pytest.fixture
async def streams() -> Streams:
    streams = Streams()
    await streams.ensure()
    return streams


def names_of(*names: str) -> Request:
    return Request("default", "annotations", names)


async def test_a_preview_names_annotations_and_the_images_that_nobody_else_shows(streams: Streams) -> None:
    await streams.record("a", 1)
    await streams.record("b", 2)
    await streams.record("c", 2)
    await streams.record("d", 4, medium="other")
    await streams.record("a", 9, project="elsewhere")
    found = await concerned(streams.broker, names_of("a", "b", "nobody"))
    assert found.names == ("a", "b")
    assert [one.sha256 for one in found.images] == [image(1).sha256]
    assert [one.sha256 for one in found.kept] == [image(2).sha256]
    whole = await concerned(streams.broker, Request("default", "annotations", medium="film"))
    assert (whole.names, len(whole.images), whole.kept) == (("a", "b", "c"), 2, ())
    await streams.erase(None, ["a"], [1])
    assert (await concerned(streams.broker, names_of("a"))).names == ()


async def test_a_request_is_answered_by_its_own_receipt(streams: Streams) -> None:
    async with Producer(streams.broker, "annotations", "eraser") as producer, asyncio.TaskGroup() as group:
        asking = group.create_task(ask(producer, names_of("a", "b")))
        ((message_id, names, medium),) = await streams.asked(1)
        await streams.erase("somebody else's", ["x"], [7])
        await streams.erase(message_id, ["a"], [1])
    assert (names, medium) == (("a", "b"), None)
    assert [one.names for one in asking.result()] == [("a",)]


async def test_a_medium_too_large_for_one_receipt_is_asked_for_until_nothing_remains(streams: Streams) -> None:
    request = Request("default", "annotations", medium="film")
    async with Producer(streams.broker, "annotations", "eraser") as producer, asyncio.TaskGroup() as group:
        asking = group.create_task(ask(producer, request))
        for count, remaining in ((1, 5), (2, 2)):
            requests = await streams.asked(count)
            await streams.erase(requests[-1][0], [f"n{count}"], [count], medium="film", remaining=remaining)
        requests = await streams.asked(3)
        gone = Rejection(rule="erasure.nothing", reason="none of it is known", hint="Look again.")
        await streams.settle(Outcome(name=None, outcome="rejected", rejection=gone), message_id=requests[-1][0])
    assert [one[2] for one in requests] == ["film"] * 3
    assert [one.names for one in asking.result()] == [("n1",), ("n2",)]


async def test_a_refusal_and_a_silence_say_what_to_do(streams: Streams) -> None:
    refusal = Rejection(rule="trust.may_not_erase", reason="annotations may not erase", hint="Ask on another stream.")
    async with Producer(streams.broker, "annotations", "eraser") as producer:
        asking = asyncio.create_task(ask(producer, names_of("a")))
        ((message_id, _, _),) = await streams.asked(1)
        await streams.settle(Outcome(name=None, outcome="rejected", rejection=refusal), message_id=message_id)
        with pytest.raises(CommandFailed, match=r"trust\.may_not_erase: annotations may not erase\. Ask on another"):
            await asking
        with pytest.raises(CommandFailed, match="whether annotation-ingest is up"):
            await ask(producer, names_of("a"), patience_s=0.05)


async def test_it_waits_until_the_augmenter_answered_the_erasure_itself(streams: Streams) -> None:
    blobs, since = MemoryBlobs(), await marks(streams.broker)
    await streams.record("a", 1)
    offset = await streams.erase("m", ["a"], [1])
    receipt = AnnotationErased(
        input=Position(stream="annotations", offset=0), message_key=f"key {streams.said - 1}", names=("a",),
        images=(image(1).sha256,),
    )  # fmt: skip
    rewritten = Rewritten(archive="default/archives/x.tar", by=FILE)

    def answer(last: int, **more: Any) -> BatchAugmented:
        return BatchAugmented(input=Range(stream=ANNOTATION_EVENTS, first=0, last=last), recipe=RECIPE, **more)

    await streams.say(answer(offset - 1))
    await streams.say(answer(offset), project="elsewhere")
    with pytest.raises(CommandFailed, match="the augmenter did not answer"):
        await wait_for_archives(streams.broker, blobs, "default", [receipt], since, patience_s=0.05)
    event = answer(offset, erased_images=receipt.images, rewritten=(rewritten,))
    lists = FileRef.of("lists", event.packed_lists())
    await blobs.put("lists", event.packed_lists())
    await streams.say(event.without_lists(lists))
    assert await wait_for_archives(streams.broker, blobs, "default", [receipt], since) == [rewritten]
    kept = receipt.model_copy(update={"images": ()})
    assert await wait_for_archives(streams.broker, blobs, "default", [kept], Marks(0, 0)) == []


def row(name: str, number: int, split: Any = "train") -> Row:
    sha = image(number).sha256
    return Row(sha, "1" * 64, RECIPE, 0, split, name, "film", "archive", "0" * 64, 1, f"{name}.jpg", 1, sha)


async def dataset(blobs: MemoryBlobs, cut: int, *rows: Row) -> DatasetRef:
    manifest = Manifest.of(rows)
    parquet = manifest.to_parquet()
    key = keys.dataset("default", manifest.id, MANIFEST)
    await blobs.put(key, parquet)
    description = DatasetDescription(
        id=manifest.id,
        project="default",
        cut=Position(stream=ANNOTATION_EVENTS, offset=cut),
        class_schema=ClassSchema(name="s", classes=("car",)),
        recipe=RECIPE,
        salt="s",
        counts={},
        manifest=FileRef.of(key, parquet),
    )
    key = keys.dataset("default", manifest.id, DESCRIPTION)
    await blobs.put(key, description.to_json())
    file = FileRef.of(key, description.to_json())
    return DatasetRef(id=manifest.id, description=file, cut=description.cut, samples={}, test_images=0)


def exported(model: str, job: str, dataset_id: str) -> ModelExported:
    place = Position(stream=TRAINING_EVENTS, offset=0)
    return ModelExported(
        model=model, input=place, job=job, dataset_id=dataset_id, manifest=FILE, signature=FILE, artifacts=(),
        test=METRICS,
    )  # fmt: skip


async def test_datasets_trainings_and_models_that_held_it_are_named(streams: Streams) -> None:
    blobs = MemoryBlobs()
    held = await dataset(blobs, 10, row("a", 1), row("b", 2))
    clean = await dataset(blobs, 20, row("b", 2), row("a", 5))  # the same name, later, on another image
    await blobs.put(keys.dataset("default", "f" * 64, DESCRIPTION), b"{}")
    for job, ref in (("j1", held), ("j2", clean), ("j3", held)):
        requested = TrainingRequested(job=job, cause="policy", dataset=ref, recipe={}, recipe_digest=RECIPE)
        await streams.say(requested)
    finished = TrainingFinished(
        job="j1", attempt=1, dataset=held, weights=FILE, architecture=FILE, best_epoch=1, validation=METRICS,
        test=METRICS,
    )  # fmt: skip
    await streams.say(finished)
    for model, job, ref in (("m1", "j1", held), ("m2", "j2", clean), ("m3", "j1", held)):
        await streams.say(exported(model, job, ref.id))
        promoted = ModelPromoted(
            model=model, number=1, manifest=FILE, signature=FILE, statement="", statement_signature="", reason=""
        )
        await streams.say(promoted)
    found = await holders(streams.broker, blobs, "default", {"a"}, {image(1).sha256})
    assert [(one.id, one.cut, one.images) for one in found.datasets] == [(held.id, 10, 1)]
    assert found.unreadable == (keys.dataset("default", "f" * 64, DESCRIPTION),)
    assert [(one.job, one.state) for one in found.trainings] == [("j1", "finished"), ("j3", "not finished")]
    assert [(one.id, one.in_service) for one in found.models] == [("m1", False), ("m3", True)]
    for names, images in (({"z"}, {image(1).sha256}), ({"a"}, set())):
        assert (await holders(streams.broker, blobs, "default", names, images)).datasets == ()


async def test_what_goes_what_went_and_what_stays_is_told(streams: Streams) -> None:
    for n in range(12):
        await streams.record(f"n{n:02d}", n)
    request = names_of(*(f"n{n:02d}" for n in range(12)), "nobody")
    preview = Erased(request, await concerned(streams.broker, request), await _no_holders(streams))
    lines: list[str] = []
    tell_concerned(preview, lines.append)
    assert lines[0] == "12 annotations in the project default:"
    assert "  … and 2 more; --json names all" in lines
    assert "12 images will be removed, with all variants" in lines
    assert lines[lines.index("1 name not known:") + 1] == "  nobody"
    assert lines[-2:] == ["held by no datasets", "made from it: no models"]
    assert preview.as_json()["erased"] is False
    receipt = AnnotationErased(
        input=Position(stream="annotations", offset=3), message_key="k", names=("n00",), images=(image(0).sha256,)
    )
    done = Erased(request, preview.concerned, preview.holders, [receipt], [Rewritten(archive="x")])
    said = done.as_json()
    assert (said["erased"], said["names"], said["images"]) == (True, ["n00"], [image(0).sha256])
    assert said["rewritten_archives"] == [{"archive": "x", "by": None}]
    lines.clear()
    tell_erased(done, lines.append)
    tell_beyond("annotations", lines.append)
    assert lines[:2] == ["erased: 1 annotation, 1 original image removed", "1 archive rewritten without them"]
    assert all(any(word in line for line in lines) for word in ("retention", "weights", "backups", "checkpoints"))
    assert said["beyond_reach"][0] == lines[3].removeprefix("  - ")


async def _no_holders(streams: Streams) -> Any:
    return await holders(streams.broker, MemoryBlobs(), "default", (), ())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name either annotations or a --medium"),
        (["a", "--medium", "film"], "name either annotations or a --medium"),
        (["a", "--json"], "--json asks nothing"),
        (["a", "--yes"], "labelstream up"),
    ],
    ids=["nothing", "both", "json without yes", "no stack"],
)
def test_a_request_that_makes_no_sense_is_refused_before_anything_is_sent(
    arguments: list[str], said: str, tmp_path: Any, capsys: Callable[..., Any]
) -> None:
    result = CliRunner().invoke(app, ["erase", *arguments, "--dir", str(tmp_path)])
    assert result.exit_code == (1 if "--yes" in arguments else 2)
    assert said in result.output
