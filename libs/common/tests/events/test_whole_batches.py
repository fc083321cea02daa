"""Batch events are folded whole and in order, wherever their lists lie."""

from __future__ import annotations

import asyncio

import pytest

from labelstream.batches import WholeBatches
from labelstream.blobs.memory import MemoryBlobs
from labelstream.errors import Rejected
from labelstream.events.batch import BatchAugmented, LeftOut, Range
from labelstream.events.envelope import Envelope
from labelstream.service.health import Health
from labelstream.values import FileRef


def batch(number: int) -> BatchAugmented:
    left_out = LeftOut(name=f"n{number}", image="1" * 64, labels="2" * 64, reason="no")
    return BatchAugmented(
        input=Range(stream="annotation-events", first=number, last=number), recipe="a" * 64, left_out=(left_out,)
    )


def enveloped(event: BatchAugmented) -> Envelope:
    envelope = Envelope.of(event, source="augmenter", answers=str(event.input.first), project="default")
    travelled = Envelope.from_message(envelope.to_message())
    assert travelled is not None
    return travelled


async def outsourced(blobs: MemoryBlobs, number: int) -> Envelope:
    event = batch(number)
    file = FileRef.of(f"lists/{number}", event.packed_lists())
    await blobs.put(file.key, event.packed_lists())
    return enveloped(event.without_lists(file))


class Folded:
    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, offset: int, envelope: Envelope) -> None:
        assert isinstance(envelope.event, BatchAugmented)
        assert envelope.event.input.first == offset
        self.names += [one.name for one in envelope.event.left_out]


async def test_short_events_are_folded_at_once_and_those_behind_a_long_one_wait_for_it() -> None:
    folded, blobs = Folded(), MemoryBlobs()
    whole = WholeBatches(folded, blobs, Health())
    whole(0, enveloped(batch(0)))
    assert folded.names == ["n0"]
    whole(1, await outsourced(blobs, 1))
    whole(2, enveloped(batch(2)))
    assert folded.names == ["n0"]
    await whole.fetch()
    assert folded.names == ["n0", "n1", "n2"]
    whole(3, enveloped(batch(3)))
    assert folded.names == ["n0", "n1", "n2", "n3"]


async def test_a_store_that_is_away_is_waited_for() -> None:
    folded, blobs, health = Folded(), MemoryBlobs(), Health()
    whole = WholeBatches(folded, blobs, health)
    long = await outsourced(blobs, 0)
    async with asyncio.TaskGroup() as group:
        fetching = group.create_task(whole.keep_fetching())
        blobs.away = "maintenance"
        whole(0, long)
        whole(1, enveloped(batch(1)))
        while health.is_ready:  # noqa: ASYNC110  # health tells nobody of its changes
            await asyncio.sleep(0)
        assert folded.names == []
        blobs.away = None
        while len(folded.names) < 2:  # noqa: ASYNC110  # nothing here could set an event
            await asyncio.sleep(0)
        fetching.cancel()
    assert folded.names == ["n0", "n1"]


async def test_an_event_whose_lists_are_gone_or_others_is_passed_over_and_said() -> None:
    folded, blobs, health = Folded(), MemoryBlobs(), Health()
    whole = WholeBatches(folded, blobs, health)
    whole(0, await outsourced(blobs, 0))
    whole(1, await outsourced(blobs, 1))
    whole(2, await outsourced(blobs, 2))
    await blobs.delete("lists/0")
    await blobs.put("lists/1", b"something else")
    await whole.fetch()
    assert folded.names == ["n2"]
    assert "batch-events" in health.report()["degraded"]


def test_bytes_that_are_no_lists_are_refused() -> None:
    for packed in (b"\xc1", b"\x01", b"\x81\xa7members\x01"):
        with pytest.raises(Rejected, match=r"batch\.lists_malformed"):
            batch(0).with_lists(packed)
