"""Publishing a folder over a stream."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from labelstream.blobs.memory import MemoryBlobs
from labelstream.events.annotation import AnnotationSettled, Outcome, Rejection
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.producer import ByReference, Producer
from labelstream.service.health import Health
from labelstream.streams.amqp import decode
from labelstream.streams.memory import MemoryBroker
from labelstream.values import Position
from labelstream.wire import native
from labelstream.wire.submission import ImageReference
from labelstream_cli.importers import Imported, NamedBox, read_folder
from labelstream_cli.push.publishing import Manner, follow_receipts, publish
from labelstream_cli.push.state import PushState
from labelstream_cli.running import CommandFailed

MakeImage = Callable[..., Path]


@pytest.fixture
async def broker() -> MemoryBroker:
    broker = MemoryBroker()
    for stream in ("annotations", ANNOTATION_EVENTS):
        await broker.ensure_stream(stream)
    return broker


@pytest.fixture
def images(tmp_path: Path, make_image: MakeImage) -> list[Imported]:
    box = NamedBox("car", 0.5, 0.5, 0.25, 0.25)
    paths = [make_image(tmp_path / f"{name}.jpg") for name in ("a", "b", "c")]
    return [Imported(path.stem, path, "film", "train", (box,)) for path in paths]


def nothing(_kind: str, _count: int) -> None:
    pass


async def settle(broker: MemoryBroker, offset: int, message_id: str, outcome: Outcome) -> None:
    event = AnnotationSettled(
        input=Position(stream="annotations", offset=offset),
        message_id=message_id,
        message_key=f"key-{offset}",
        wire="native",
        outcomes=(outcome,),
    )
    envelope = Envelope.of(event, source="annotation-ingest", answers=str(offset), project="default")
    await broker.publisher(ANNOTATION_EVENTS, "annotation-ingest").publish([(offset + 1, envelope.to_message())])


async def test_each_image_is_published_once_with_its_boxes_medium_and_split(
    broker: MemoryBroker, images: list[Imported]
) -> None:
    told: list[tuple[str, int]] = []

    async with Producer(broker, "annotations", "pusher") as producer:
        pushed = await publish(producer, images, lambda kind, count: told.append((kind, count)))

    messages = [decode(delivery.raw) for delivery in broker.stored("annotations") or []]
    read = [native.read(message, "created") for message in messages]
    assert [one.names for one in read] == [("a",), ("b",), ("c",)]
    assert all(
        (one.medium, one.split, one.boxes[0].cls, one.validated) == ("film", "train", "car", True) for one in read
    )
    assert read[0].image == images[0].image_path.read_bytes()
    assert (pushed.sent, pushed.confirmed) == (3, 3)
    assert told == [("sent", 1), ("sent", 2), ("sent", 3), ("confirmed", 3)]


async def test_a_file_that_cannot_be_read_is_reported_and_the_others_are_sent(
    broker: MemoryBroker, images: list[Imported]
) -> None:
    images[1].image_path.unlink()

    async with Producer(broker, "annotations", "pusher") as producer:
        pushed = await publish(producer, images, nothing)

    assert list(pushed.names.values()) == ["a", "c"]
    assert [problem.name for problem in pushed.unreadable] == ["b"]


async def test_receipts_are_matched_by_message_and_rejections_say_what_to_do(
    broker: MemoryBroker, images: list[Imported]
) -> None:
    async with Producer(broker, "annotations", "pusher") as producer:
        pushed = await publish(producer, images, nothing)
        a, b, c = pushed.names
        refusal = Rejection(rule="class.unknown", reason="box 0 has the class car", hint="The schema has: 0 boat")
        await settle(broker, 0, "somebody-else-1", Outcome(name="x", outcome="recorded"))
        await settle(broker, 1, a, Outcome(name="a", outcome="recorded"))
        await settle(broker, 2, b, Outcome(name="b", outcome="duplicated"))
        await settle(broker, 3, c, Outcome(name=None, outcome="rejected", rejection=refusal))
        await follow_receipts(producer, pushed, nothing)

    assert pushed.receipts == {"recorded": 1, "duplicated": 1, "rejected": 1}
    assert sum(pushed.receipts.values()) == pushed.sent
    (refused,) = pushed.refused
    assert (refused.name, refused.rule, refused.hint) == ("c", "class.unknown", "The schema has: 0 boat")
    assert pushed.as_json()["rejected"][0]["reason"] == "box 0 has the class car"


async def test_when_no_receipt_comes_it_says_how_many_are_missing(broker: MemoryBroker, images: list[Imported]) -> None:
    async with Producer(broker, "annotations", "pusher") as producer:
        pushed = await publish(producer, images, nothing)
        await settle(broker, 1, next(iter(pushed.names)), Outcome(name="a", outcome="recorded"))

        with pytest.raises(CommandFailed, match="1 of 3 are there"):
            await follow_receipts(producer, pushed, nothing, patience_s=2)


async def test_what_an_earlier_push_confirmed_is_not_sent_again_and_what_changed_is(
    broker: MemoryBroker, images: list[Imported], tmp_path: Path
) -> None:
    async with Producer(broker, "annotations", "pusher") as producer:
        await publish(producer, images[:2], nothing, state=PushState.open(tmp_path / "notes", tmp_path))
        images[1] = replace(images[1], boxes=())
        pushed = await publish(producer, images, nothing, state=PushState.open(tmp_path / "notes", tmp_path))

    assert (pushed.earlier, list(pushed.names.values())) == (1, ["b", "c"])
    read = [native.read(decode(one.raw), "created") for one in broker.stored("annotations") or []]
    assert [(one.names[0], len(one.boxes)) for one in read] == [("a", 1), ("b", 1), ("b", 0), ("c", 1)]


async def test_a_deleted_annotation_is_created_unvalidated_and_then_deleted_once(
    broker: MemoryBroker, images: list[Imported], tmp_path: Path
) -> None:
    images[1] = replace(images[1], validated=False, deleted=True)

    async with Producer(broker, "annotations", "pusher") as producer:
        for _ in range(2):
            await publish(producer, images, nothing, state=PushState.open(tmp_path / "notes", tmp_path))

    messages = [decode(one.raw) for one in broker.stored("annotations") or []]
    assert [one.subject for one in messages] == ["annotation.submitted"] * 3 + ["annotation.deleted"]
    assert [native.read(one, "created").validated for one in messages[:3]] == [True, False, True]
    assert native.read(messages[3], "deleted").names == ("b",)


async def test_a_manner_lowers_trust_and_adds_tags(broker: MemoryBroker, images: list[Imported]) -> None:
    async with Producer(broker, "annotations", "pusher") as producer:
        await publish(producer, images, nothing, Manner(unvalidated=True, tags=("june", "flight")))

    read = [native.read(decode(one.raw), "created") for one in broker.stored("annotations") or []]
    assert {(one.validated, one.tags) for one in read} == {(False, ("flight", "june"))}


async def test_an_image_that_no_message_can_hold_is_reported_with_the_way_out(
    broker: MemoryBroker, images: list[Imported]
) -> None:
    images[1].image_path.write_bytes(b"\0" * 2_000_000)

    async with Producer(broker, "annotations", "pusher") as producer:
        pushed = await publish(producer, images, nothing)

    assert list(pushed.names.values()) == ["a", "c"]
    (problem,) = pushed.unreadable
    assert (problem.name, problem.kind) == ("b", "message not allowed")
    assert "--by-reference sends it" in problem.reason


async def test_only_the_image_that_no_message_can_hold_goes_into_the_store(
    broker: MemoryBroker, images: list[Imported]
) -> None:
    photograph = b"\xff\xd8\xff" + bytes(3_000_000)
    images[1].image_path.write_bytes(photograph)
    bucket = MemoryBlobs()
    store = ByReference(bucket, "annotations/", Health(), inline=True)

    async with Producer(broker, "annotations", "pusher", images=store) as producer:
        pushed = await publish(producer, images, nothing)

    assert (pushed.sent, pushed.unreadable) == (3, [])
    a, b, c = [native.read(decode(one.raw), "created").image for one in broker.stored("annotations") or []]
    assert [a, c] == [one.image_path.read_bytes() for one in (images[0], images[2])]
    assert isinstance(b, ImageReference)
    assert (await bucket.get(b.key)).data == photograph
    assert [info.key async for info in bucket.list("")] == [b.key]


async def test_frames_of_a_video_are_sent_as_jpeg(broker: MemoryBroker, tmp_path: Path) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "film.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (96, 64))
    for number in range(12):
        writer.write(np.full((64, 96, 3), number * 10, np.uint8))
    writer.release()

    async with Producer(broker, "annotations", "pusher") as producer:
        await publish(producer, read_folder(tmp_path), nothing)

    read = [native.read(decode(one.raw), "created") for one in broker.stored("annotations") or []]
    assert [(one.names[0], one.medium, one.validated) for one in read] == [
        ("film_000000", "film.avi", False), ("film_000010", "film.avi", False),
    ]  # fmt: skip
    assert all(isinstance(one.image, bytes) and one.image.startswith(b"\xff\xd8") for one in read)
