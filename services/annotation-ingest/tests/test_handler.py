"""One message after the other through the handler, on the doubles of the store."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from annotation_ingest.handler import Ingest, Settled
from labelstream.blobs.memory import MemoryBlobs
from labelstream.blobs.ports import Blob
from labelstream.classes import ClassSchema
from labelstream.errors import Misconfigured
from labelstream.events.annotation import AnnotationErased, AnnotationSettled
from labelstream.schemas import load_named_schema
from labelstream.schemas.recorded import recorded_schema
from labelstream.streams.amqp import encode
from labelstream.streams.message import Delivery, Message
from labelstream.values import Position, sha256_hex
from labelstream.wire import native
from labelstream.wire.submission import ImageReference

BOX = {"class": "car", "x": 0.5, "y": 0.5, "w": 0.2, "h": 0.1}


class Desk:
    """Prepares and settles messages one by one, and folds their receipts."""

    def __init__(self, ingest: Ingest) -> None:
        self.ingest = ingest
        self.offset = -1

    async def answer(self, message: Message | bytes) -> Settled:
        self.offset += 1
        raw = encode(message) if isinstance(message, Message) else message
        settled = self.ingest.settle(await self.ingest.prepare(Delivery("annotations", self.offset * 3, raw)))
        self.ingest.view.apply(self.offset, settled.envelope)
        return settled

    async def receipt(self, message: Message | bytes) -> AnnotationSettled:
        event = (await self.answer(message)).envelope.event
        assert isinstance(event, AnnotationSettled)
        return event

    async def rule(self, message: Message | bytes) -> str:
        (outcome,) = (await self.receipt(message)).outcomes
        assert outcome.rejection is not None
        return outcome.rejection.rule


@pytest.fixture
def desk(make_ingest: Any) -> Desk:
    return Desk(make_ingest(may_change_schema=True, may_erase=True))


def refer(name: str, data: bytes, key: str = "annotations/one.png") -> Message:
    return native.write(name, ImageReference(key, sha256_hex(data)), [BOX], message_id=name)


async def test_a_reference_is_copied_into_the_data_bucket(desk: Desk, make_picture: Any) -> None:
    image = make_picture(1)
    await desk.ingest.pictures.incoming.put("annotations/one.png", image)
    (outcome,) = (await desk.receipt(refer("a", image))).outcomes
    assert outcome.annotation is not None
    assert outcome.annotation.image.key == f"default/images/{sha256_hex(image)}.png"
    assert (await desk.ingest.blobs.get(outcome.annotation.image.key)).data == image


class Clock:
    now = datetime(2030, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


async def test_an_image_that_lay_there_without_a_receipt_is_written_again_before_one_names_it(
    desk: Desk, make_picture: Any
) -> None:
    clock, image = Clock(), make_picture(1)
    blobs = MemoryBlobs(clock)
    desk.ingest = replace(desk.ingest, blobs=blobs, pictures=replace(desk.ingest.pictures, blobs=blobs))
    key = f"default/images/{sha256_hex(image)}.png"
    await blobs.put(key, image)  # by a message that was refused, long ago

    async def written_at(name: str) -> datetime:
        clock.now += timedelta(days=30)
        message = native.write(name, image, [BOX], message_id=name)
        assert [one.outcome for one in (await desk.receipt(message)).outcomes] == ["recorded"]
        info = await blobs.head(key)
        assert info is not None
        return info.modified

    recorded = clock.now + timedelta(days=30)
    assert await written_at("a") == recorded
    assert await written_at("b") == recorded  # a receipt names it: nobody takes it away


async def test_a_reference_to_nothing_is_refused_and_its_replay_applies_once_the_file_is_there(
    desk: Desk, make_picture: Any
) -> None:
    image = make_picture(1)
    assert await desk.rule(refer("a", image)) == "image.absent"
    await desk.ingest.pictures.incoming.put("annotations/one.png", image)
    message = refer("a", image)
    replay = {"labelstream_replays_stream": "annotations", "labelstream_replays_offset": 0}
    receipt = await desk.receipt(
        Message(
            body=message.body,
            message_id=message.message_id,
            subject=message.subject,
            properties={**message.properties, **replay},
        )
    )
    assert [one.outcome for one in receipt.outcomes] == ["recorded"]
    assert receipt.replays == Position(stream="annotations", offset=0)


async def test_a_file_that_is_not_what_was_referred_to_is_refused(desk: Desk, make_picture: Any) -> None:
    await desk.ingest.pictures.incoming.put("annotations/one.png", make_picture(2))
    assert await desk.rule(refer("a", make_picture(1))) == "image.changed"


@pytest.mark.parametrize(
    "key",
    [
        "other/one.png",
        "annotations",
        "../annotations/one.png",
        "annotations2/one.png",
        "annotations/../other/one.png",
        "annotations/./one.png",
        "annotations//one.png",
        "annotations/",
    ],
)
async def test_a_reference_outside_of_the_streams_prefix_is_refused(desk: Desk, make_picture: Any, key: str) -> None:
    await desk.ingest.pictures.incoming.put(key, make_picture(1))
    assert await desk.rule(refer("a", make_picture(1), key)) == "image.foreign_key"


async def test_a_file_that_is_too_large_is_refused_before_it_is_read(desk: Desk) -> None:
    data = b"x" * (desk.ingest.pictures.max_bytes + 1)
    await desk.ingest.pictures.incoming.put("annotations/one.png", data)
    receipt = await desk.receipt(refer("a", data))
    (outcome,) = receipt.outcomes
    assert outcome.rejection is not None
    assert (outcome.rejection.rule, str(len(data)) in outcome.rejection.reason) == ("image.bytes", True)


class Closed(MemoryBlobs):
    """A bucket that shows nothing to us."""

    async def get(self, key: str, most_bytes: int | None = None) -> Blob:
        raise Misconfigured(f"the store refuses reading on {key}: give this access key that right ({most_bytes})")


async def test_a_bucket_that_refuses_us_refuses_the_message_and_is_told(desk: Desk, make_picture: Any) -> None:
    pictures = desk.ingest.pictures
    desk.ingest = replace(desk.ingest, pictures=replace(pictures, incoming=Closed()))
    assert await desk.rule(refer("a", make_picture(1))) == "image.absent"
    assert "give this access key that right" in desk.ingest.health.report()["degraded"]["incoming bucket"]
    await pictures.incoming.put("annotations/one.png", make_picture(1))
    desk.ingest = replace(desk.ingest, pictures=pictures)
    await desk.receipt(refer("b", make_picture(1)))
    assert desk.ingest.health.report()["degraded"] == {}


async def test_a_store_that_is_away_is_waited_for(desk: Desk, make_picture: Any) -> None:
    image = make_picture(1)
    incoming: Any = desk.ingest.pictures.incoming
    await incoming.put("annotations/one.png", image)
    incoming.away = "it restarts"
    answering = asyncio.create_task(desk.receipt(refer("a", image)))
    while desk.ingest.health.is_ready:  # noqa: ASYNC110  # health has no event to wait for
        await asyncio.sleep(0)
    assert "it restarts" in str(desk.ingest.health.report()["waiting"])
    incoming.away = None
    assert [one.outcome for one in (await answering).outcomes] == ["recorded"]


async def test_the_receipt_that_lets_a_held_message_expire_says_so(make_ingest: Any, make_picture: Any) -> None:
    desk = Desk(make_ingest(hold_messages=2))
    await desk.receipt(native.write_bulk("validated", ["a", "b"], message_id="0"))
    receipts = [await desk.receipt(native.write(f"n{n}", make_picture(n), [], message_id=f"{n}")) for n in (1, 2, 3)]
    refused = await desk.receipt(b"not a message")
    told = [[(one.name, one.asked, one.outcome, one.input.offset) for one in each.settles] for each in receipts]
    assert told == [[], [], [("a", "validated", "expired", 0), ("b", "validated", "expired", 0)]]
    assert refused.settles == ()
    assert desk.ingest.view.held("default", "a") == []


async def test_a_schema_change_is_kept_in_the_store_as_well(desk: Desk) -> None:
    classes = (*load_named_schema("example").classes, "submarine")
    settled = await desk.answer(native.write_class_schema(ClassSchema(name="example", classes=classes)))
    await desk.ingest.follow_up(settled)
    assert (await recorded_schema(desk.ingest.blobs, "default")).classes == classes


async def test_an_erasure_names_the_objects_that_go(desk: Desk, make_picture: Any) -> None:
    await desk.receipt(native.write("a", make_picture(1), [BOX], medium="film", message_id="1"))
    await desk.receipt(native.write("b", make_picture(2), [BOX], medium="film", message_id="2"))
    settled = await desk.answer(native.write_erasure(medium="film", message_id="3"))
    event = settled.envelope.event
    assert isinstance(event, AnnotationErased)
    assert (event.names, event.message_id, event.remaining) == (("a", "b"), "3", 0)
    assert settled.to_delete == tuple(f"default/images/{digest}.png" for digest in event.images)
    again = await desk.receipt(native.write_erasure(medium="film", message_id="3"))
    assert [(one.outcome, one.repeats) for one in again.outcomes] == [
        ("duplicated", Position(stream="annotations", offset=6))
    ]
    assert await desk.rule(native.write_erasure(medium="film", message_id="4")) == "erasure.nothing"


async def test_what_was_erased_does_not_come_back_with_a_message_that_is_delivered_again(
    desk: Desk, make_picture: Any
) -> None:
    message = native.write("a", make_picture(1), [BOX], message_id="1")
    await desk.receipt(message)
    (key,) = (await desk.answer(native.write_erasure(names=["a"], message_id="2"))).to_delete
    await desk.ingest.blobs.delete(key)
    (outcome,) = (await desk.receipt(message)).outcomes
    assert (outcome.outcome, outcome.repeats) == ("duplicated", Position(stream="annotations", offset=0))
    assert await desk.ingest.blobs.head(key) is None


async def test_an_image_beyond_the_quota_is_not_stored_at_all(make_ingest: Any, make_picture: Any) -> None:
    images = [make_picture(seed) for seed in (1, 2)]
    desk = Desk(make_ingest(image_bytes=len(images[0])))
    assert [o.outcome for o in (await desk.receipt(native.write("a", images[0], [], message_id="1"))).outcomes] == [
        "recorded"
    ]
    assert await desk.rule(native.write("b", images[1], [], message_id="2")) == "quota.image_bytes"
    assert [found.key async for found in desk.ingest.blobs.list("")] == [f"default/images/{sha256_hex(images[0])}.png"]
    assert [o.outcome for o in (await desk.receipt(native.write("c", images[0], [], message_id="3"))).outcomes] == [
        "recorded"
    ]


async def test_only_a_stream_that_may_erases(make_ingest: Any, make_picture: Any) -> None:
    desk = Desk(make_ingest())
    await desk.receipt(native.write("a", make_picture(1), [BOX], message_id="1"))
    assert await desk.rule(native.write_erasure(names=["a"], message_id="2")) == "trust.may_not_erase"


async def test_every_request_to_erase_is_seen_before_it_is_prepared(desk: Desk, make_picture: Any) -> None:
    asks = encode(native.write_erasure(names=["a"], message_id="1"))
    creates = encode(native.write("a", make_picture(1), [BOX], message_id="2"))
    assert [desk.ingest.asks_to_erase(Delivery("annotations", 0, raw)) for raw in (asks, creates)] == [True, False]


async def test_a_receipt_repeats_no_address(desk: Desk, make_picture: Any) -> None:
    message = native.write("a", make_picture(1), [BOX], message_id="someone@example.org")
    settled = await desk.answer(message)
    assert b"example.org" not in encode(settled.envelope.to_message())


def test_a_message_that_killed_the_service_is_refused_with_what_is_known(desk: Desk) -> None:
    settled = desk.ingest.killed(Delivery("annotations", 7, b"\x00"), 3)
    event = settled.envelope.event
    assert isinstance(event, AnnotationSettled)
    (outcome,) = event.outcomes
    assert outcome.rejection is not None
    assert (outcome.rejection.rule, "3 times" in outcome.rejection.reason) == ("internal.killed_service", True)
    assert settled.rejected is not None
