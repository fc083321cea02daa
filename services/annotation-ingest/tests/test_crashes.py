"""The service dies at every step of its way, and is started again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from annotation_ingest.adapters.parking import STREAM as PARKED
from annotation_ingest.settings import InputSettings
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.streams.memory import MemoryBroker
from labelstream.wire import native

BOX = {"class": "car", "x": 0.5, "y": 0.5, "w": 0.2, "h": 0.1}


class Killed(BaseException):
    """The end of the process."""


class DeadlyBroker(MemoryBroker):
    """A broker at whose n-th write the writer dies: before it, in the middle of it, or before its confirm."""

    def __init__(self, deaths: dict[int, str]) -> None:
        super().__init__()
        self.deaths = deaths
        self._writes = 0

    async def store(self, stream: str, publisher: str, messages: Sequence[tuple[int, bytes]]) -> None:
        self._writes += stream in {PARKED, ANNOTATION_EVENTS}
        death = self.deaths.get(self._writes) if stream in {PARKED, ANNOTATION_EVENTS} else None
        stored = {"before": 0, "middle": len(messages) // 2}.get(death or "", len(messages))
        await super().store(stream, publisher, messages[:stored])
        if death:
            raise Killed


@pytest.mark.parametrize("death", ["before", "middle", "after"])
@pytest.mark.parametrize("lose_view", [False, True])
async def test_every_message_has_one_receipt_wherever_the_service_dies(
    service: Any, make_picture: Any, tmp_path: Path, death: str, lose_view: bool
) -> None:
    service.broker = DeadlyBroker(dict.fromkeys(range(1, 40, 2), death))
    service.batch = 4
    for number in range(6):
        await service.send(
            native.write(f"n{number}", make_picture(number), [BOX], validated=False, message_id=f"c{number}"),
            b"noise %d" % number,
            native.write_bulk("validated", [f"n{number}"], message_id=f"v{number}"),
            native.write(f"n{number}", b"broken", [BOX]),
        )
    lives = deaths = 0
    while len(service.receipts()) < service.sent():
        lives += 1
        if lose_view:
            service.state = tmp_path / f"life-{lives}"
        died = await asyncio.gather(service.work(), return_exceptions=True)
        deaths += sum(isinstance(one, BaseExceptionGroup) and one.subgroup(Killed) is not None for one in died)
    assert deaths > 2
    receipts = service.receipts()
    assert [r.input.offset for r in receipts] == [d.offset for d in service.broker.stored("annotations")]
    said = Counter(o.outcome for r in receipts for o in r.outcomes)
    assert said == {"recorded": 6, "validated": 6, "rejected": 12}
    parked = Counter(p.properties["input_offset"] for p in service.parked())
    assert len(parked) == 12
    assert set(parked.values()) == {1}
    places = {o.rejection.parked.offset for r in receipts for o in r.outcomes if o.rejection}
    assert places == {d.offset for d in service.broker.stored(PARKED)}
    service.broker.deaths.clear()
    await service.send(native.write_bulk("deleted", ["n0"]))
    await service.work()
    assert service.live_view() == service.rebuilt_view()


@pytest.mark.parametrize("death", ["before", "after"])
async def test_an_erasure_that_dies_between_the_objects_and_its_receipt_is_finished(
    service: Any, make_picture: Any, death: str
) -> None:
    service.broker = DeadlyBroker({2: death})
    service.inputs = (InputSettings(may_erase=True),)
    await service.send(
        native.write("a", make_picture(), [BOX], message_id="1"),
        native.write_erasure(names=["a"], message_id="2"),
        native.write("a", make_picture(), [BOX], message_id="1"),
    )
    task = service.start()
    with pytest.raises(BaseException):  # noqa: B017, PT011  # a group around what killed it
        await task
    assert [found async for found in service.blobs.list("default/images/")] == []
    await service.work()
    assert [e.event.type for _, e in service.envelopes()] == [
        "annotation.settled",
        "annotation.erased",
        "annotation.settled",
    ]
    assert [one.outcome for one in service.receipts()[-1].outcomes] == ["duplicated"]
    assert [found async for found in service.blobs.list("default/images/")] == []
