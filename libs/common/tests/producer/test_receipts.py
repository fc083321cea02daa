"""Receipts, on a broker in memory."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from labelstream.events.annotation import AnnotationErased, AnnotationSettled
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.producer import Limits, Producer, Receipt, TimedOut
from labelstream.streams.memory import MemoryBroker
from labelstream.streams.message import Message


async def submit(producer: Producer, *names: str) -> list[str]:
    return [await producer.submit(name=name, image=b"x", boxes=[]) for name in names]


def outcome(receipt: Receipt | None) -> str:
    assert isinstance(receipt, AnnotationSettled)
    return receipt.outcomes[0].outcome


async def test_tasks_that_wait_at_once_each_get_their_own_receipt(broker: MemoryBroker, answering: Any) -> None:
    async with Producer(broker) as producer:
        ids = await submit(producer, *"abcdef")
        waiting = [asyncio.create_task(producer.wait_for_receipt(one)) for one in ids]
        await answering.settle(*reversed(ids))
        receipts = await asyncio.gather(*waiting)

    assert [receipt.message_id for receipt in receipts] == ids


async def test_a_receipt_that_came_before_anybody_asked_is_there(broker: MemoryBroker, answering: Any) -> None:
    async with Producer(broker) as producer:
        a, b = await submit(producer, "a", "b")
        await answering.settle(a, b)

        assert (await producer.wait_for_receipt(b)).message_id == b
        assert (await producer.wait_for_receipt(a)).message_id == a
        assert (await producer.wait_for_receipt(a)).message_id == a  # and may be asked for again


async def test_two_tasks_may_wait_for_one_receipt_and_one_may_give_up(broker: MemoryBroker, answering: Any) -> None:
    async with Producer(broker) as producer:
        [a] = await submit(producer, "a")
        hasty, patient = (asyncio.create_task(producer.wait_for_receipt(a)) for _ in range(2))
        with pytest.raises(TimedOut):
            await producer.wait_for_receipt(a, timeout_s=0.01)
        hasty.cancel()
        await answering.settle(a)

        assert (await patient).message_id == a


async def test_an_erasure_is_answered_by_its_own_kind_of_receipt(broker: MemoryBroker, answering: Any) -> None:
    async with Producer(broker) as producer:
        message_id = await producer.erase(names=["n"])
        await answering.erased(message_id)
        receipt = await producer.wait_for_receipt(message_id)

    assert isinstance(receipt, AnnotationErased)
    assert receipt.names == ("n",)


async def test_all_receipts_come_once_and_end_with_the_last(broker: MemoryBroker, answering: Any) -> None:
    async with Producer(broker) as producer:
        ids = await submit(producer, "a", "b", "c")
        await answering.settle("somebody-else-1", *ids)

        assert [receipt.message_id async for receipt in producer.receipts()] == ids
        assert await producer.next_receipt() is None
        assert await producer.wait_for_receipts() == {}
        more = await submit(producer, "d")
        await answering.settle(*more)
        assert list(await producer.wait_for_receipts()) == more


async def test_a_receipt_that_one_task_took_is_not_among_the_rest(broker: MemoryBroker, answering: Any) -> None:
    async with Producer(broker) as producer:
        a, b, c = await submit(producer, "a", "b", "c")
        await answering.settle(a, b, c)
        await producer.wait_for_receipt(b)

        assert [receipt.message_id async for receipt in producer.receipts()] == [a, c]


async def test_a_message_sent_again_under_its_id_gets_a_second_receipt(broker: MemoryBroker, answering: Any) -> None:
    async with Producer(broker) as producer:
        for expected in ("recorded", "duplicated"):
            await producer.submit(name="a", image=b"x", boxes=[], message_id="outbox-1")
            await answering.settle("outbox-1", outcome=expected)
            assert outcome(await producer.wait_for_receipt("outbox-1")) == expected

        for expected in ("superseded", "rejected"):
            await producer.submit(name="a", image=b"x", boxes=[], message_id="outbox-2")
            await answering.settle("outbox-2", outcome=expected)
        assert [outcome(receipt) async for receipt in producer.receipts()] == ["superseded", "rejected"]


async def test_the_receipt_of_a_message_of_an_earlier_run_can_be_waited_for(
    broker: MemoryBroker, answering: Any
) -> None:
    async with Producer(broker, receipts=False) as producer:
        await producer.submit(name="a", image=b"x", boxes=[], message_id="outbox-1")
    async with Producer(broker) as producer:
        waiting = asyncio.create_task(producer.wait_for_receipt("outbox-1"))
        await asyncio.sleep(0)
        await answering.settle("outbox-0", "outbox-1")

        assert (await waiting).message_id == "outbox-1"


async def test_a_receipt_that_does_not_come_is_named_when_the_time_is_up(broker: MemoryBroker) -> None:
    async with Producer(broker) as producer:
        [a] = await submit(producer, "a")
        with pytest.raises(TimedOut, match=f"receipt of {a}"):
            await producer.wait_for_receipt(a, timeout_s=0.01)


async def test_who_waits_in_vain_is_told_that_a_second_producer_of_the_name_loses_messages(
    broker: MemoryBroker,
) -> None:
    async with Producer(broker, name="ours") as producer:
        [a] = await submit(producer, "a")
        for waiting in (producer.wait_for_receipt(a, timeout_s=0.01), producer.next_receipt(timeout_s=0.01)):
            with pytest.raises(TimedOut, match="a second live producer named 'ours' loses messages"):
                await waiting


async def test_receipts_that_nobody_takes_do_not_keep_others_from_theirs(broker: MemoryBroker, answering: Any) -> None:
    async with Producer(broker, limits=Limits(receipts_kept=3)) as producer:
        ids = await submit(producer, *(f"n{number}" for number in range(300)))
        await answering.settle(*ids)

        assert (await producer.wait_for_receipt(ids[-1])).message_id == ids[-1]
        assert len(producer._inbox._untaken) == 3


async def test_no_receipt_is_let_go_while_nobody_waits_for_a_later_one(broker: MemoryBroker, answering: Any) -> None:
    async with Producer(broker, limits=Limits(receipts_kept=3)) as producer:
        ids = await submit(producer, *(f"n{number}" for number in range(300)))
        await answering.settle(*ids)

        assert [receipt.message_id async for receipt in producer.receipts()] == ids
        assert len(producer._inbox._taken) == 3


async def test_who_was_told_not_to_read_receipts_can_not_wait_for_one() -> None:
    broker = MemoryBroker()
    await broker.ensure_stream("annotations")
    async with Producer(broker, receipts=False) as producer:
        [a] = await submit(producer, "a")
        with pytest.raises(RuntimeError, match="not to read receipts"):
            await producer.wait_for_receipt(a)
        with pytest.raises(RuntimeError, match="not to read receipts"):
            await producer.wait_for_receipts()


async def test_a_receipt_that_can_not_be_read_is_told_to_all_who_wait(broker: MemoryBroker) -> None:
    async with Producer(broker) as producer:
        ids = await submit(producer, "a", "b")
        waiting = [asyncio.create_task(producer.wait_for_receipt(one)) for one in ids]
        await asyncio.sleep(0.01)
        await broker.publisher(ANNOTATION_EVENTS, "ingest").publish(
            [(1, Message(b"\xc1", subject="annotation.settled"))]
        )
        failures = await asyncio.gather(*waiting, return_exceptions=True)

    assert all(isinstance(failure, Exception) for failure in failures)
