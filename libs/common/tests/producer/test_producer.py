"""Submitting, flushing and giving up, on a broker in memory."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from labelstream.blobs.memory import MemoryBlobs
from labelstream.classes import ClassSchema
from labelstream.errors import Misconfigured, Rejected, Unavailable
from labelstream.producer import ByReference, Limits, Producer, TimedOut
from labelstream.service.health import Health
from labelstream.streams.memory import MemoryBroker, MemoryPublisher
from labelstream.streams.message import Message
from labelstream.values import sha256_hex
from labelstream.wire.reading import read_submission
from labelstream.wire.submission import ImageReference

BOX = {"class": "car", "x": 0.5, "y": 0.5, "w": 0.2, "h": 0.1}
JPEG = b"\xff\xd8\xff of a sort"


async def test_what_was_submitted_is_sent_without_being_asked_for(broker: MemoryBroker, sent: Any, until: Any) -> None:
    async with Producer(broker, limits=Limits(linger_s=0.01)) as producer:
        message_id = await producer.submit(name="a", image=JPEG, boxes=[BOX])
        await until(lambda: len(sent()) == 1)

    assert [message.message_id for message in sent()] == [message_id]


async def test_every_kind_of_message_says_what_it_asks_for(broker: MemoryBroker, sent: Any, tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    file.write_bytes(JPEG)

    async with Producer(broker) as producer:
        await producer.submit(name="a", image=file, boxes=[BOX], medium="film", split="val", tags=["night", "rain"])
        await producer.edit(name="a", boxes=[], source="ai", validated=False)
        await producer.validate(["a", "b"])
        await producer.delete(["b"])
        await producer.erase(medium="film")
        await producer.erase(names=["a"])
        await producer.change_class_schema(ClassSchema(name="s", version=2, classes=("car", "van")))

    submitted, edited, validated, deleted, medium, erased, schema = map(read_submission, sent())
    assert (submitted.kind, submitted.names, submitted.image) == ("created", ("a",), JPEG)
    assert (submitted.medium, submitted.split, submitted.tags) == ("film", "val", ("night", "rain"))
    assert (submitted.validated, submitted.boxes[0].cls) == (True, "car")
    assert (edited.kind, edited.image, edited.source, edited.validated) == ("edited", None, "ai", False)
    assert [(one.kind, one.names) for one in (validated, deleted)] == [("validated", ("a", "b")), ("deleted", ("b",))]
    assert (medium.kind, medium.medium, medium.names) == ("erased", "film", ())
    assert (erased.kind, erased.names) == ("erased", ("a",))
    assert schema.class_schema == ClassSchema(name="s", version=2, classes=("car", "van"))


async def test_an_erasure_names_annotations_or_a_medium_not_both(broker: MemoryBroker) -> None:
    async with Producer(broker) as producer:
        with pytest.raises(ValueError, match="either"):
            await producer.erase(names=["a"], medium="film")
        with pytest.raises(ValueError, match="either"):
            await producer.erase()


@pytest.mark.parametrize(
    ("slip", "told"),
    [
        ({"mediun": "film"}, "no detail 'mediun'"),
        ({"image": "a.jpg"}, "image is 'a.jpg'"),
        ({"validated": "yes"}, "validated is 'yes'"),
    ],
    ids=["unknown detail", "path as text", "text for a truth"],
)
async def test_a_slip_in_a_call_is_told_at_once(
    broker: MemoryBroker, sent: Any, slip: dict[str, Any], told: str
) -> None:
    async with Producer(broker) as producer:
        with pytest.raises(TypeError, match=told):
            await producer.submit(**{"name": "a", "image": JPEG, "boxes": [BOX], **slip})
    assert sent() == []


async def test_one_text_in_the_place_of_names_is_not_taken_for_its_letters(broker: MemoryBroker, sent: Any) -> None:
    async with Producer(broker) as producer:
        for ask in (producer.validate, producer.delete, lambda names: producer.erase(names=names)):
            with pytest.raises(TypeError, match="'s1'"):
                await ask("s1")
    assert sent() == []


async def test_the_same_id_and_content_are_the_same_message(broker: MemoryBroker, sent: Any) -> None:
    for _ in range(2):  # a program that was started again
        async with Producer(broker) as producer:
            assert await producer.submit(name="a", image=JPEG, boxes=[BOX], message_id="outbox-7") == "outbox-7"

    first, second = map(read_submission, sent())
    assert first.message_key == second.message_key


async def test_another_run_goes_on_with_other_ids(broker: MemoryBroker, sent: Any) -> None:
    ids = []
    for _ in range(2):
        async with Producer(broker, name="ours") as producer:
            ids.append(await producer.submit(name="a", image=JPEG, boxes=[]))

    assert [message.message_id for message in sent()] == ids
    assert len(set(ids)) == 2
    assert all(message_id.startswith("ours-") for message_id in ids)


async def test_an_image_by_reference_is_stored_once_under_its_digest(broker: MemoryBroker, sent: Any) -> None:
    bucket = MemoryBlobs()
    async with Producer(broker, images=ByReference(bucket, "annotations/", Health())) as producer:
        for name in ("a", "b"):
            await producer.submit(name=name, image=JPEG, boxes=[])
        await producer.submit(name="c", image=b"who knows", boxes=[])
        await producer.edit(name="c", boxes=[])

    keys = [f"annotations/{sha256_hex(JPEG)}.jpg", f"annotations/{sha256_hex(b'who knows')}.bin"]
    assert sorted([info.key async for info in bucket.list("")]) == sorted(keys)
    assert (await bucket.get(keys[0])).data == JPEG
    images = [read_submission(message).image for message in sent()]
    assert images[0] == images[1] == ImageReference(keys[0], sha256_hex(JPEG))
    assert images[3] is None


async def test_a_store_that_is_away_is_waited_for(broker: MemoryBroker, sent: Any, until: Any) -> None:
    bucket, health = MemoryBlobs(away="gone fishing"), Health()
    async with Producer(broker, images=ByReference(bucket, "annotations/", health), health=health) as producer:
        submitting = asyncio.create_task(producer.submit(name="a", image=JPEG, boxes=[]))
        await until(lambda: not health.is_ready)
        bucket.away = None
        await submitting

    assert len(sent()) == 1


async def test_a_store_that_stays_away_is_named_when_the_time_is_up(broker: MemoryBroker) -> None:
    bucket, health = MemoryBlobs(away="gone fishing"), Health()
    images = ByReference(bucket, "annotations/", health)
    async with Producer(broker, images=images, health=health, timeout_s=0.5) as producer:
        with pytest.raises(TimedOut, match=r"storing the image of a took longer than 0\.5 s.*gone fishing"):
            await producer.submit(name="a", image=JPEG, boxes=[])


async def test_an_image_too_large_for_a_message_is_refused_with_the_way_out(broker: MemoryBroker, sent: Any) -> None:
    async with Producer(broker) as producer:
        with pytest.raises(Rejected, match="by reference") as refused:
            await producer.submit(name="a", image=bytes(1 << 20), boxes=[])
        await producer.submit(name="b", image=bytes(1_000_000), boxes=[])

    assert refused.value.rule == "image.bytes"
    assert len(sent()) == 1


async def test_inline_only_an_image_that_no_message_can_hold_goes_into_the_store(
    broker: MemoryBroker, sent: Any
) -> None:
    bucket, large = MemoryBlobs(), JPEG + bytes(3_000_000)
    images = ByReference(bucket, "annotations/", Health(), inline=True)
    async with Producer(broker, images=images) as producer:
        for name, image in (("a", JPEG), ("b", large), ("c", None)):
            await producer.submit(name=name, image=image, boxes=(box for box in ()))
        with pytest.raises(Rejected, match="fewer names or boxes") as refused:
            await producer.validate(["n" * 500] * 3_000)

    key = f"annotations/{sha256_hex(large)}.jpg"
    assert [read_submission(one).image for one in sent()] == [JPEG, ImageReference(key, sha256_hex(large)), None]
    assert [info.key async for info in bucket.list("")] == [key]
    assert refused.value.rule == "message.too_large"


async def test_a_message_without_a_body_is_refused_at_once(broker: MemoryBroker) -> None:
    async with Producer(broker) as producer:
        with pytest.raises(ValueError, match="body"):
            await producer.publish(Message(b""))


@pytest.mark.parametrize(
    "limits", [Limits(unconfirmed_messages=5), Limits(unconfirmed_bytes=5_000)], ids=["messages", "bytes"]
)
async def test_submitting_waits_while_too_much_is_unconfirmed(
    broker: MemoryBroker, sent: Any, until: Any, limits: Limits
) -> None:
    accepted = []

    async def submit(producer: Producer) -> None:
        for number in range(20):
            message_id = await producer.submit(name=f"n{number}", image=bytes(950), boxes=[])
            accepted.append(message_id)

    async with Producer(broker, limits=limits) as producer:
        broker.away = True
        submitting = asyncio.create_task(submit(producer))
        await until(lambda: len(accepted) >= 4)
        with pytest.raises(TimedOut):
            await producer.flush(timeout_s=0.05)
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(accepted) <= 5
        broker.away = False
        await submitting

    assert [message.message_id for message in sent()] == accepted
    assert len(accepted) == 20


async def test_tasks_that_submit_at_once_lose_nothing_and_keep_their_own_order(broker: MemoryBroker, sent: Any) -> None:
    async def submit(producer: Producer, task: int) -> None:
        for number in range(100):
            await producer.submit(name=f"{task}-{number}", image=b"x", boxes=[])

    async with Producer(broker, limits=Limits(unconfirmed_messages=7)) as producer:
        await asyncio.gather(*(submit(producer, task) for task in range(5)))

    names = [read_submission(message).names[0] for message in sent()]
    for task in range(5):
        assert [n for n in names if n.startswith(f"{task}-")] == [f"{task}-{number}" for number in range(100)]


async def test_a_broker_that_is_away_is_waited_for_and_named_when_the_time_is_up(broker: MemoryBroker) -> None:
    broker.away = True
    with pytest.raises(TimedOut, match=r"connecting to annotations took longer than 0\.01 s; .*it is away"):
        async with Producer(broker, timeout_s=0.01):
            pytest.fail("nobody was there")


async def test_leaving_waits_no_longer_than_it_was_told(broker: MemoryBroker) -> None:
    producer = await Producer(broker, timeout_s=0.05).__aenter__()
    broker.away = True
    await producer.submit(name="a", image=b"x", boxes=[])
    with pytest.raises(TimedOut, match="flushing 1 messages"):
        await producer.__aexit__(None, None, None)


async def test_a_timeout_is_a_timeout_error_that_loses_nothing(broker: MemoryBroker, sent: Any) -> None:
    async with Producer(broker) as producer:
        broker.away = True
        await producer.submit(name="a", image=b"x", boxes=[])
        with pytest.raises(TimeoutError):
            await producer.flush(timeout_s=0.01)
        broker.away = False

    assert len(sent()) == 1


class Locked(MemoryPublisher):
    """A publisher whose user is locked out after the first batch."""

    def __init__(self, publisher: MemoryPublisher) -> None:
        self.name = publisher.name
        self._inner = publisher
        self._batches = 0

    async def publish(self, messages: Any) -> None:
        self._batches += 1
        if self._batches > 1:
            raise Misconfigured("the broker refused us")
        await self._inner.publish(messages)


class LockingBroker(MemoryBroker):
    def publisher(self, stream: str, name: str) -> MemoryPublisher:
        inner = super().publisher(stream, name)
        return Locked(inner) if stream == "annotations" else inner


async def locking() -> LockingBroker:
    broker = LockingBroker()
    for stream in ("annotations", "annotation-events"):
        await broker.ensure_stream(stream)
    return broker


async def test_what_cannot_be_sent_is_raised_by_the_next_call_and_by_leaving() -> None:
    broker = await locking()
    producer = await Producer(broker, limits=Limits(linger_s=0)).__aenter__()
    await producer.submit(name="a", image=b"x", boxes=[])
    await producer.flush()
    lost = await producer.submit(name="b", image=b"x", boxes=[])
    with pytest.raises(Misconfigured, match="refused us"):
        await producer.wait_for_receipt(lost)
    with pytest.raises(Misconfigured, match="refused us"):
        await producer.submit(name="c", image=b"x", boxes=[])
    with pytest.raises(Misconfigured, match="refused us"):
        await producer.__aexit__(None, None, None)

    assert len(broker.stored("annotations") or []) == 1


async def test_who_waits_for_a_receipt_is_told_when_nothing_can_be_sent_any_more(until: Any) -> None:
    broker = await locking()
    producer = await Producer(broker, limits=Limits(linger_s=0)).__aenter__()
    first = await producer.submit(name="a", image=b"x", boxes=[])
    waiting = asyncio.create_task(producer.wait_for_receipt(first))
    await until(lambda: len(broker.stored("annotations") or []) == 1)
    await producer.submit(name="b", image=b"x", boxes=[])
    with pytest.raises(Misconfigured):
        await waiting
    with pytest.raises(Misconfigured):
        await producer.__aexit__(None, None, None)


async def test_a_producer_outside_of_its_block_says_so(broker: MemoryBroker) -> None:
    producer = Producer(broker)
    with pytest.raises(RuntimeError, match="async with"):
        await producer.submit(name="a", image=b"x", boxes=[])


async def test_leaving_by_an_error_passes_it_on_and_waits_for_nothing(broker: MemoryBroker) -> None:
    async def leave() -> None:
        async with Producer(broker) as producer:
            broker.away = True
            await producer.submit(name="a", image=b"x", boxes=[])
            raise Unavailable("something of", "ours")

    with pytest.raises(Unavailable, match="ours"):
        await leave()
