"""Rule 2 on the double: what we publish counts once it was read back."""

from __future__ import annotations

import pytest

from labelstream.errors import AnotherWriter
from labelstream.events.base import SERVING_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.events.serving import ModelActivated
from labelstream.service.health import Health
from labelstream.streams.journal import Journal
from labelstream.streams.memory import MemoryBroker


def said(number: int) -> Envelope:
    event = ModelActivated(model=f"m{number}", number=number, replica="r", artifact="onnx-fp32", seconds=1)
    return Envelope.of(event, source="test", answers=str(number), project="default")


def numbers(heard: list[tuple[int, Envelope]]) -> list[int]:
    return [envelope.event.number for _, envelope in heard if isinstance(envelope.event, ModelActivated)]


async def opened(broker: MemoryBroker, *publishers: str):
    heard: list[tuple[int, Envelope]] = []
    journal = Journal(broker, SERVING_EVENTS, publishers, lambda *e: heard.append(e), Health())
    return journal, heard, await journal.open()


async def test_what_was_appended_comes_back_in_order_with_its_offsets():
    journal, heard, last = await opened(MemoryBroker(), "a")
    assert last == {"a": 0}
    offsets = await journal.append("a", [(1, said(1)), (5, said(5))])
    assert numbers(heard) == [1, 5]
    assert offsets == [offset for offset, _ in heard]


async def test_a_restart_folds_what_is_stored_and_knows_where_it_stood():
    broker = MemoryBroker()
    journal, _, _ = await opened(broker, "a", "b")
    await journal.append("a", [(3, said(3))])
    await journal.append("b", [(8, said(8))])
    _, heard, last = await opened(broker, "a", "b")
    assert numbers(heard) == [3, 8]
    assert last == {"a": 3, "b": 8}


async def test_a_restart_behind_a_view_folds_only_what_is_new():
    broker = MemoryBroker()
    journal, heard, _ = await opened(broker, "a")
    await journal.append("a", [(n, said(n)) for n in range(1, 12)])
    heard_again: list[tuple[int, Envelope]] = []
    again = Journal(broker, SERVING_EVENTS, ["a"], lambda *e: heard_again.append(e), Health())
    assert await again.open(start=heard[7][0] + 1) == {"a": 11}
    assert numbers(heard_again) == [9, 10, 11]


async def test_what_was_stored_before_a_crash_is_not_stored_again():
    broker = MemoryBroker()
    journal, _, _ = await opened(broker, "a")
    await journal.append("a", [(1, said(1)), (2, said(2))])
    _, heard, last = await opened(broker, "a")
    assert last["a"] == 2
    assert numbers(heard) == [1, 2]


async def test_of_two_live_writers_the_one_whose_message_was_dropped_gives_up():
    broker = MemoryBroker()
    first, _, _ = await opened(broker, "a")
    second, _, _ = await opened(broker, "a")
    await first.append("a", [(1, said(1))])
    with pytest.raises(AnotherWriter, match="another live 'a'"):
        await second.append("a", [(1, said(99))])


async def test_a_writer_that_was_overtaken_notices_before_it_goes_on():
    broker = MemoryBroker()
    first, _, _ = await opened(broker, "a")
    second, _, _ = await opened(broker, "a")
    await second.append("a", [(1, said(1)), (2, said(2))])
    with pytest.raises(AnotherWriter):
        await first.append("a", [(3, said(3))])


async def test_another_services_events_on_the_stream_are_folded_too():
    broker = MemoryBroker()
    ours, heard, _ = await opened(broker, "a")
    theirs, _, _ = await opened(broker, "b")
    await theirs.append("b", [(1, said(7))])
    await ours.append("a", [(1, said(1))])
    assert numbers(heard) == [7, 1]


async def test_a_foreign_message_in_our_own_stream_is_an_error_not_a_gap():
    broker = MemoryBroker()
    journal, _, _ = await opened(broker, "a")
    broker.write_raw(SERVING_EVENTS, b"not AMQP")
    with pytest.raises(RuntimeError, match="is not an event of ours"):
        await journal.append("a", [(1, said(1))])
