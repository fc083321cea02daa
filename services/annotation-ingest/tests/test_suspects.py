"""A message that ends the service is found out and parked; nobody else pays for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from annotation_ingest.adapters.decoding import Decoders
from annotation_ingest.images.imaging import Picture
from annotation_ingest.settings import InputSettings
from labelstream.blobs.memory import MemoryBlobs
from labelstream.events.annotation import AnnotationSettled
from labelstream.wire import native

BOX = {"class": "car", "x": 0.5, "y": 0.5, "w": 0.2, "h": 0.1}


class Killed(BaseException):
    """The end of the process."""


@dataclass
class Deadly:
    """A decoder with a fault: whoever hands it a marked image dies."""

    inner: Decoders
    marked: bytes
    error: Callable[[], BaseException]
    at_once: list[int] = field(default_factory=list)  # images under way at each death
    _under_way: int = 0

    async def decode(self, data: bytes) -> Picture:
        self._under_way += 1
        try:
            await asyncio.sleep(0)
            if data == self.marked:
                self.at_once.append(self._under_way)
                raise self.error()
            return await self.inner.decode(data)
        finally:
            self._under_way -= 1


async def lives(service: Any) -> int:
    """Start the service until it lives to answer everything; return how often it died."""
    deaths = 0
    while True:
        try:
            await service.work()
        except BaseExceptionGroup:
            deaths += 1
            assert deaths < 20
        else:
            return deaths


def rejected(receipts: list[AnnotationSettled]) -> list[tuple[int, str]]:
    return [(r.input.offset, o.rejection.rule) for r in receipts for o in r.outcomes if o.rejection]


@pytest.mark.parametrize("error", [Killed, lambda: RuntimeError("a fault of ours")], ids=["killed", "exception"])
async def test_a_message_that_ends_the_service_three_times_alone_is_parked(
    service: Any, make_picture: Any, error: Callable[[], BaseException]
) -> None:
    service.decoders = deadly = Deadly(service.decoders, make_picture(66), error)
    await service.send(*(native.write(f"n{i}", make_picture(i), [BOX]) for i in range(60, 70)))
    assert await lives(service) == 4
    assert deadly.at_once[1:] == [1, 1, 1]  # with others at first, then three times alone
    receipts = service.receipts()
    sent = service.broker.stored("annotations")
    assert [r.input.offset for r in receipts] == [one.offset for one in sent]
    assert rejected(receipts) == [(sent[6].offset, "internal.killed_service")]
    (parked,) = service.parked()
    assert (parked.body, parked.properties["rule"]) == (sent[6].raw, "internal.killed_service")
    assert "parked" in service.health.report()["degraded"][f"offset {sent[6].offset} of annotations"]
    assert service.live_view() == service.rebuilt_view()


async def test_two_inputs_never_die_of_each_others_messages(service: Any, make_picture: Any) -> None:
    service.inputs = (InputSettings(), InputSettings(stream="guests", project="open"))
    service.decoders = deadly = Deadly(service.decoders, make_picture(3), Killed)
    for stream, base in (("annotations", 0), ("guests", 100)):
        await service.send(*(native.write(f"n{i}", make_picture(base + i), [BOX]) for i in range(6)), stream=stream)
    await lives(service)
    assert deadly.at_once[-3:] == [1, 1, 1]
    assert [rule for _, rule in rejected(service.receipts())] == ["internal.killed_service"]
    assert len(service.receipts()) == 12


async def test_a_message_that_was_parked_for_it_is_never_tried_again(service: Any, make_picture: Any) -> None:
    service.decoders = deadly = Deadly(service.decoders, make_picture(0), Killed)
    await service.send(native.write("a", make_picture(0), [BOX]))
    await lives(service)
    deaths = len(deadly.at_once)
    await service.send(native.write("b", make_picture(1), [BOX]))
    assert await lives(service) == 0
    assert len(deadly.at_once) == deaths
    assert len(service.receipts()) == 2


@dataclass
class StoreGoesAway:
    """A decoder at whose first image the store goes away."""

    inner: Decoders
    blobs: MemoryBlobs

    async def decode(self, data: bytes) -> Picture:
        self.blobs.away = "down for a test"
        return await self.inner.decode(data)


async def test_a_service_that_is_told_to_stop_while_it_waits_blames_no_message(
    service: Any, make_picture: Any, outcomes_of: Any
) -> None:
    decoders, service.decoders = service.decoders, StoreGoesAway(service.decoders, service.blobs)
    await service.send(native.write("a", make_picture(), [BOX]))
    for _ in range(5):
        service.blobs.away = None
        task = service.start()
        assert "down for a test" in await service.until_waiting("object store")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    service.blobs.away, service.decoders = None, decoders
    assert outcomes_of(await service.work()) == ["recorded"]


@dataclass
class Watched:
    """A decoder that knows how many images, and how many bytes of them, are under way."""

    inner: Decoders
    under_way: int = 0
    most: int = 0

    async def decode(self, data: bytes) -> Picture:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            return await self.inner.decode(data)
        finally:
            self.under_way -= 1


class WatchedBlobs(MemoryBlobs):
    """A store that notes how many images are under way, and how much is stored, when it removes something."""

    def watch(self, decoder: Watched) -> None:
        self.decoder, self.at_removals = decoder, list[int]()

    async def delete(self, key: str) -> None:
        self.at_removals.append(self.decoder.under_way)
        await super().delete(key)


async def test_while_an_erasure_removes_objects_nothing_of_any_input_is_under_way(
    service: Any, make_picture: Any
) -> None:
    service.inputs = (InputSettings(may_erase=True), InputSettings(stream="guests"))
    service.batch = 7
    service.decoders = Watched(service.decoders)
    service.blobs = WatchedBlobs()
    service.blobs.watch(service.decoders)
    same = make_picture(5)
    await service.send(*(native.write(f"g{i}", make_picture(100 + i), [BOX]) for i in range(40)), stream="guests")
    for n in range(3):
        await service.send(
            native.write("a", same, [BOX], message_id=f"before-{n}"),
            native.write_erasure(names=["a"], message_id=f"erase-{n}"),
            native.write("a", same, [BOX], message_id=f"after-{n}"),
        )
    await service.work()
    mine = [e.event for _, e in service.envelopes() if e.event.input.stream == "annotations"]
    settled, erased = "annotation.settled", "annotation.erased"
    assert [one.type for one in mine] == [settled, erased, settled] * 3
    assert service.blobs.at_removals == [0, 0, 0]
    assert service.decoders.most > 1
    (outcome,) = mine[-1].outcomes
    assert (await service.blobs.get(outcome.annotation.image.key)).data == same  # stored again after it was removed


async def test_no_more_bytes_are_taken_in_hand_than_two_batches(service: Any, make_picture: Any) -> None:
    service.decoders = watched = Watched(service.decoders)
    service.told = {"batch_bytes": 120_000}
    await service.send(*(native.write(f"n{i}", make_picture(i) + b"x" * 50_000, [BOX]) for i in range(12)))
    receipts = await service.work()
    assert watched.most == 2  # of 50 KB; without the limit all of them
    assert [r.input.offset for r in receipts] == [d.offset for d in service.broker.stored("annotations")]
