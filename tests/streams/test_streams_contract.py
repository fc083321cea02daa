"""What every stream broker does, the double and the real one."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from labelstream.errors import Rejected, Unavailable
from labelstream.streams.amqp import decode
from labelstream.streams.message import Message
from labelstream.streams.ports import Retention

MESSAGE = Message(
    body=b"\x00\xff body",
    message_id="id-1",
    correlation_id="flow-1",
    subject="annotation.settled",
    content_type="application/msgpack",
    created_ms=1_700_000_000_123,
    properties={"project": "default", "count": 7, "large": 1 << 40, "share": 0.5, "yes": True, "bytes": b"\xff\xfe"},
)


def numbered(*ids: int) -> list[tuple[int, Message]]:
    return [(number, Message(b"%d" % number)) for number in ids]


async def test_a_message_arrives_as_it_was_published(lab: Any, stream: str, reading: Any) -> None:
    await lab.broker.ensure_stream(stream)
    await lab.broker.publisher(stream, "writer").publish([(1, MESSAGE)])

    [delivery] = await reading.some(lab.broker.reader(stream, "first"), 1)

    assert decode(delivery.raw) == MESSAGE
    assert (delivery.stream, delivery.timestamp_ms > 0) == (stream, True)


async def test_messages_arrive_in_order_at_offsets_that_rise(lab: Any, stream: str, reading: Any) -> None:
    await lab.broker.ensure_stream(stream)
    await lab.broker.publisher(stream, "writer").publish(numbered(*range(1, 251)))

    found = await reading.some(lab.broker.reader(stream, "first"), 250)

    assert [decode(delivery.raw).body for delivery in found] == [b"%d" % n for n in range(1, 251)]
    assert all(one.offset < other.offset for one, other in pairwise(found))


async def test_reading_resumes_behind_any_message_that_was_handled(lab: Any, stream: str, reading: Any) -> None:
    await lab.broker.ensure_stream(stream)
    await lab.broker.publisher(stream, "writer").publish(numbered(*range(1, 21)))
    found = await reading.some(lab.broker.reader(stream, 0), 20)

    for handled in (0, 6, 7, 12, 18):
        rest = await reading.bodies(lab.broker.reader(stream, found[handled].offset + 1), 19 - handled)
        assert rest == [b"%d" % n for n in range(handled + 2, 21)]


async def test_a_reader_of_what_comes_next_sees_nothing_older(lab: Any, stream: str, reading: Any) -> None:
    await lab.broker.ensure_stream(stream)
    publisher = lab.broker.publisher(stream, "writer")
    await publisher.publish(numbered(1, 2, 3))
    reader = lab.broker.reader(stream, "next")

    number, seen = 3, []
    async with asyncio.timeout(60):
        while not seen:  # attaching takes a moment
            number += 1
            seen = await reader.read(wait_s=0.05)
            await publisher.publish(numbered(number))
    bodies = [decode(delivery.raw).body for delivery in seen]
    bodies += await reading.bodies(reader, number - int(bodies[-1]))

    assert int(bodies[0]) > 3
    assert bodies == [b"%d" % n for n in range(int(bodies[0]), number + 1)]


async def test_reading_an_empty_stream_returns_nothing(lab: Any, stream: str) -> None:
    await lab.broker.ensure_stream(stream)

    assert await lab.broker.reader(stream, "first").read(wait_s=0.05) == []


async def test_a_waiting_read_returns_as_soon_as_a_message_is_there(lab: Any, stream: str) -> None:
    await lab.broker.ensure_stream(stream)
    reader = lab.broker.reader(stream, "first")
    waiting = asyncio.create_task(reader.read(wait_s=3600))
    await asyncio.sleep(0)

    await lab.broker.publisher(stream, "writer").publish(numbered(1))

    assert len(await asyncio.wait_for(waiting, 60)) == 1


async def test_a_read_that_is_cancelled_loses_nothing(lab: Any, stream: str, reading: Any) -> None:
    await lab.broker.ensure_stream(stream)
    reader = lab.broker.reader(stream, "first")
    waiting = asyncio.create_task(reader.read(wait_s=3600))
    await asyncio.sleep(0.01)
    waiting.cancel()

    await lab.broker.publisher(stream, "writer").publish(numbered(1, 2))

    assert await reading.bodies(reader, 2) == [b"1", b"2"]


async def test_a_read_returns_no_more_than_was_asked_for(lab: Any, stream: str) -> None:
    await lab.broker.ensure_stream(stream)
    await lab.broker.publisher(stream, "writer").publish(numbered(*range(1, 11)))
    reader = lab.broker.reader(stream, "first")

    assert [len(await reader.read(4, wait_s=60)) for _ in range(2)] == [4, 4]
    assert len(await reader.read(4, wait_s=60)) == 2


async def test_several_readers_each_get_everything(lab: Any, stream: str, reading: Any) -> None:
    await lab.broker.ensure_stream(stream)
    readers = [lab.broker.reader(stream, "first") for _ in range(3)]
    await lab.broker.publisher(stream, "writer").publish(numbered(1, 2, 3))

    assert [await reading.bodies(reader, 3) for reader in readers] == [[b"1", b"2", b"3"]] * 3


async def test_an_id_that_is_not_above_the_last_is_confirmed_and_not_stored(
    lab: Any, stream: str, reading: Any
) -> None:
    await lab.broker.ensure_stream(stream)
    publisher = lab.broker.publisher(stream, "writer")
    await publisher.publish(numbered(1, 2, 5, 9))

    await publisher.publish(numbered(5, 9, 10, 12))
    await publisher.publish(numbered(7))

    assert await reading.all(lab.broker, stream) == [b"1", b"2", b"5", b"9", b"10", b"12"]
    assert await lab.broker.last_publishing_id(stream, "writer") == 12


async def test_each_publisher_name_has_ids_of_its_own(lab: Any, stream: str, reading: Any) -> None:
    await lab.broker.ensure_stream(stream)
    await lab.broker.publisher(stream, "one").publish(numbered(5))
    await lab.broker.publisher(stream, "other").publish(numbered(3))

    assert await reading.all(lab.broker, stream) == [b"5", b"3"]
    assert await lab.broker.last_publishing_id(stream, "one") == 5
    assert await lab.broker.last_publishing_id(stream, "other") == 3
    assert await lab.broker.last_publishing_id(stream, "nobody") == 0


async def test_of_two_live_writers_of_one_name_both_are_confirmed_and_one_is_stored(
    lab: Any, stream: str, reading: Any
) -> None:
    await lab.broker.ensure_stream(stream)
    one, other = (lab.broker.publisher(stream, "writer") for _ in range(2))
    await one.publish([(1, Message(b"one 1"))])

    await other.publish([(1, Message(b"other 1")), (2, Message(b"other 2"))])
    await one.publish([(2, Message(b"one 2")), (3, Message(b"one 3"))])

    # Each was told that its ids are stored; only reading back says whose they are.
    assert await reading.all(lab.broker, stream) == [b"one 1", b"other 2", b"one 3"]


@pytest.mark.parametrize("ids", [(2, 2), (3, 1), (0,)])
async def test_ids_that_do_not_rise_are_refused_before_anything_is_sent(
    lab: Any, stream: str, ids: tuple[int, ...]
) -> None:
    await lab.broker.ensure_stream(stream)

    with pytest.raises(ValueError, match="must rise"):
        await lab.broker.publisher(stream, "writer").publish(numbered(*ids))

    assert await lab.broker.last_offset(stream) is None


async def test_an_empty_body_is_refused_before_anything_is_sent(lab: Any, stream: str) -> None:
    await lab.broker.ensure_stream(stream)

    with pytest.raises(ValueError, match="body"):
        await lab.broker.publisher(stream, "writer").publish([(1, Message(b"x")), (2, Message(b""))])

    assert await lab.broker.last_offset(stream) is None


async def test_publishing_nothing_does_nothing(lab: Any, stream: str) -> None:
    await lab.broker.ensure_stream(stream)
    await lab.broker.publisher(stream, "writer").publish([])

    assert await lab.broker.last_offset(stream) is None


async def test_the_last_offset_is_that_of_the_last_message(lab: Any, stream: str, reading: Any) -> None:
    await lab.broker.ensure_stream(stream)
    assert await lab.broker.last_offset(stream) is None
    publisher, reader = lab.broker.publisher(stream, "writer"), lab.broker.reader(stream, "first")

    for number in range(1, 21):
        await publisher.publish(numbered(number))
        [delivery] = await reading.some(reader, 1)
        assert await lab.broker.last_offset(stream) == delivery.offset


async def test_the_first_offset_is_where_the_stream_begins(lab: Any, stream: str, reading: Any) -> None:
    await lab.broker.ensure_stream(stream)
    assert await lab.broker.first_offset(stream) is None
    publisher = lab.broker.publisher(stream, "writer")

    for number in range(1, 4):
        await publisher.publish(numbered(number))
        assert await lab.broker.first_offset(stream) == 0


async def test_what_retention_removes_is_missing_at_the_beginning(lab: Any, stream: str, reading: Any) -> None:
    await lab.broker.ensure_stream(stream, Retention(max_bytes=2_000_000))
    publisher = lab.broker.publisher(stream, "writer")
    for number in range(1, 61):
        await publisher.publish([(number, Message(b"%09d" % number * 11_000))])
    lab.evict(stream, before=30)

    async with asyncio.timeout(60):
        while not (first := await lab.broker.first_offset(stream)):  # noqa: ASYNC110 -- the broker gives no sign
            await asyncio.sleep(0.05)
    [delivery] = await reading.some(lab.broker.reader(stream, 0), 1)

    assert first <= delivery.offset
    assert decode(delivery.raw).body[:9] > b"%09d" % 1


async def test_a_reader_counts_how_often_it_was_attached(lab: Any, stream: str, reading: Any) -> None:
    await lab.broker.ensure_stream(stream)
    reader = lab.broker.reader(stream, "first")
    assert reader.attached == 0
    await lab.broker.publisher(stream, "writer").publish(numbered(1))
    await reading.some(reader, 1)
    assert reader.attached == 1

    await lab.delete(stream)
    assert await reader.read(wait_s=0.2) == []
    await lab.broker.ensure_stream(stream)
    async with asyncio.timeout(60):
        while reader.attached == 1:
            assert await reader.read(wait_s=0.05) == []

    assert reader.attached > 1


async def test_creating_a_stream_again_keeps_what_is_in_it(lab: Any, stream: str, reading: Any) -> None:
    await lab.broker.ensure_stream(stream)
    await lab.broker.publisher(stream, "writer").publish(numbered(1))

    await lab.broker.ensure_stream(stream)

    assert await reading.all(lab.broker, stream) == [b"1"]


async def test_a_stream_that_exists_is_taken_with_whatever_retention_it_has(
    lab: Any, stream: str, reading: Any
) -> None:
    await lab.broker.ensure_stream(stream, Retention(max_bytes=5_000_000))
    await lab.broker.publisher(stream, "writer").publish(numbered(1))

    await lab.broker.ensure_stream(stream, None)

    assert await reading.all(lab.broker, stream) == [b"1"]


async def test_questions_about_a_missing_stream_say_that_it_is_unavailable(lab: Any, stream: str) -> None:
    with pytest.raises(Unavailable):
        await lab.broker.last_offset(stream)
    with pytest.raises(Unavailable):
        await lab.broker.first_offset(stream)
    with pytest.raises(Unavailable):
        await lab.broker.last_publishing_id(stream, "writer")


async def test_a_missing_stream_is_waited_for(lab: Any, stream: str, reading: Any) -> None:
    reader = lab.broker.reader(stream, "first")
    publishing = asyncio.create_task(lab.broker.publisher(stream, "writer").publish(numbered(1)))
    assert await reader.read(wait_s=0.2) == []
    assert not publishing.done()

    await lab.broker.ensure_stream(stream)
    await asyncio.wait_for(publishing, 60)

    assert await reading.bodies(reader, 1) == [b"1"]


@pytest.mark.parametrize("bad", [b"", b"\x00Su\xa0\x00", b"\x00Su\xd0\xff\xff\xff\xff\xff\xff\xff\xff", b"no AMQP"])
async def test_what_a_foreign_producer_broke_is_delivered_as_it_is_and_stops_nobody(
    lab: Any, stream: str, reading: Any, bad: bytes
) -> None:
    await lab.broker.ensure_stream(stream)
    await lab.write_raw(stream, [bad])
    await lab.broker.publisher(stream, "writer").publish(numbered(1))

    broken, good = await reading.some(lab.broker.reader(stream, "first"), 2)

    assert broken.raw == bad
    with pytest.raises(Rejected) as error:
        decode(broken.raw)
    assert error.value.rule == "message.undecodable"
    assert decode(good.raw).body == b"1"


async def test_a_closed_reader_can_not_be_read(lab: Any, stream: str) -> None:
    await lab.broker.ensure_stream(stream)
    reader = lab.broker.reader(stream, "first")
    await reader.read(wait_s=0)
    await reader.close()

    with pytest.raises(RuntimeError, match="closed"):
        await reader.read()
